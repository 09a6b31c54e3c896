"""Mutants of the sweep, of what belongs to whom, and of secrecy.

The list as a whole is in ``mutants``."""

from tests.mutation.mutant import Edit, Mutant, cluster_history, crash, history, rule, unit

SWEEPING = (
    Mutant(
        "collect an orphan that is in use",
        "I5",
        "Somebody has the key, and is cut off.",
        Edit(
            "lifecycle/checks_orphans.py",
            "    if row.last_used_at is None:\n        return reasons.ORPHANED\n",
            "    if row is not None:\n        return reasons.ORPHANED\n",
        ),
        Edit(
            "controller/act_retire.py",
            "    return _Finding.IN_USE if idle < tools.timings.idle_before_revoke else _Finding.NOTHING\n",
            "    return _Finding.IN_USE if idle is None else _Finding.NOTHING\n",
        ),
        caught_by=(cluster_history("an_older_backup_of_etcd_brings_a_retired_key_back_as_the_current_one"),),
    ),
    Mutant(
        "collect what a restored Secret refers to",
        "section 4, Sweep",
        "A restore brings Secrets first: their keys are revoked before their objects are there.",
        Edit(
            "controller/orphans.py",
            "            if tag is None or tag.owner in owners or row.id in referenced:\n",
            "            if tag is None or tag.owner in owners:\n",
        ),
        caught_by=(cluster_history("a_restore_with_new_uids_and_no_status"),),
    ),
    Mutant(
        "believe one pass over the list",
        "section 4, Sweep",
        "A key that moved across a page's edge between two calls is not seen, and given up.",
        Edit(
            "controller/listing.py",
            "        return any(live == total for live, total",
            "        return any(live <= total for live, total",
        ),
        caught_by=(history("a_key_lost_at_a_page_boundary"),),
    ),
    Mutant(
        "take every installation's keys for ours",
        "I6",
        "Two clusters on one service key revoke each other's keys.",
        Edit(
            "lifecycle/naming.py",
            "        return self.installation == _short(installation, _INSTALLATION_LENGTH)\n",
            "        return len(self.installation) == len(_short(installation, _INSTALLATION_LENGTH))\n",
        ),
        caught_by=(cluster_history("two_installations_with_disjoint_namespaces_on_one_service_key"),),
    ),
    Mutant(
        "go on in a cloned cluster",
        "section 3, Installation",
        "The clone deletes, rotates and revokes what the original delivers.",
        Edit("controller/installation.py", "self.made_in == self.here)", "bool(self.here))"),
        caught_by=(
            cluster_history("a_clone_of_the_whole_world"),
            cluster_history("a_restore_under_another_kube_system_uid"),
        ),
    ),
    Mutant(
        "end old keys in a cloned cluster",
        "section 3, Installation",
        "The clone revokes what the original may still hold back.",
        Edit(
            "lifecycle/decide.py",
            "    if not isinstance(decision.step, WaitUntil | Stall) or not case.observed.myself.confirmed:\n",
            "    if not isinstance(decision.step, WaitUntil | Stall):\n",
        ),
        caught_by=(cluster_history("a_clone_of_the_whole_world"),),
    ),
    Mutant(
        "judge by the list alone",
        "section 4, Sweep",
        "A key whose first use came after the list is revoked.",
        Edit(
            "controller/orphans.py",
            " or now.last_used_at != row.last_used_at or now.name != row.name:\n",
            ":\n",
        ),
        caught_by=(rule("a_key_first_used_while_the_sweep_is_about_to_collect_it_is_spared"),),
    ),
    Mutant(
        "revoke a key that was released after it was listed",
        "section 4, Deletion",
        "Orphan lets a key go while the list is under way, and its user is cut off.",
        Edit("controller/orphans.py", " or now.name != row.name:\n", ":\n"),
        caught_by=(
            unit(
                "controller/test_act_retire.py",
                "a_key_without_an_owner_that_is_renamed_after_it_was_listed_is_left_alone",
            ),
        ),
    ),
    Mutant(
        "take a key on its way for an orphan",
        "section 4, Sweep",
        "A key that waits for its Secret is revoked.",
        Edit(
            "lifecycle/decide.py",
            "    intent_open,\n    rotation_lost,\n    *OPEN_ENDS,\n    orphan_found,\n",
            "    orphan_found,\n    intent_open,\n    rotation_lost,\n    *OPEN_ENDS,\n",
        ),
        caught_by=(history("a_sweep_during_a_30_minute_secret_outage"),),
    ),
    Mutant(
        "collect a young orphan",
        "section 4, Sweep",
        "A key whose object is about to come, or to record it, is revoked.",
        Edit("controller/orphans.py", " if listing.server_time - row.created_at >= self._timings.orphan_age]", "]"),
        caught_by=(rule("a_young_key_without_an_owner_is_left_alone"),),
    ),
)
"""What the list shows, and whose it is."""

SECRECY = (
    Mutant(
        "show a plaintext in an event",
        "I7",
        "Whoever may read events has the key.",
        Edit(
            "controller/act_mint.py",
            "            await take_minted(tools, observed, decision, outcome, asked)",
            (
                "            from saperly_operator.kube.events import EventType, Occurrence\n"
                "\n"
                '            note = Occurrence(EventType.NORMAL, "Minted", "Mint", outcome.plaintext.reveal())\n'
                "            await tools.statuses.announce(observed.key, note)\n"
                "            await take_minted(tools, observed, decision, outcome, asked)"
            ),
        ),
        caught_by=(crash("a_key", "first key", "twice"),),
    ),
    Mutant(
        "write a plaintext into the log",
        "I7",
        "Whoever may read logs has the key.",
        Edit(
            "controller/act_mint.py",
            "            await take_minted(tools, observed, decision, outcome, asked)",
            (
                "            import logging\n"
                "\n"
                '            logging.getLogger(__name__).info("minted", extra={"key": outcome.plaintext.reveal()})\n'
                "            await take_minted(tools, observed, decision, outcome, asked)"
            ),
        ),
        caught_by=(crash("a_key", "first key", "twice"),),
    ),
)
"""Where no credential may be."""
