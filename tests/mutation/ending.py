"""Mutants of how a key dies, and of the end of an object.

The list as a whole is in ``mutants``."""

from tests.mutation.mutant import Edit, Mutant, cluster_history, crash, history, rule, unit

RETIRING = (
    Mutant(
        "revoke a lost key that is in use",
        "I5",
        "Somebody had the key after all, and is cut off.",
        Edit(
            "controller/act_retire.py",
            "    return _Finding.IN_USE if idle < tools.timings.idle_before_revoke else _Finding.NOTHING\n",
            "    return _Finding.IN_USE if idle is None else _Finding.NOTHING\n",
        ),
        caught_by=(cluster_history("an_older_backup_of_etcd"),),
    ),
    Mutant(
        "forget the retiring list",
        "I3",
        "The key before the last one lives for ever.",
        Edit("lifecycle/transitions.py", "        retiring=joined(older, old),\n", "        retiring=old,\n"),
        caught_by=(rule("two_rotations_within_one_overlap_leave_one_key"),),
    ),
    Mutant(
        "revoke at the delivery",
        "I2",
        "Whoever has not read the new key yet is cut off.",
        Edit(
            "lifecycle/overlap.py",
            ("    if spec.restart:\n        return _dated"),
            ("    if not spec.restart:\n        return entry\n    if spec.restart:\n        return _dated"),
        ),
        Edit(
            "lifecycle/overlap.py",
            ("    if entry.replaced_at is None:\n        return entry\n    dated"),
            ("    if entry.replaced_at is not None:\n        return entry\n    dated"),
        ),
        caught_by=(rule("an_old_key_lives_through_its_overlap"),),
    ),
    Mutant(
        "revoke before the Secret is written",
        "I5",
        "A crash after the revoke, or a Secret that cannot be written, is an outage.",
        Edit(
            "lifecycle/transitions.py",
            "    return status.changed(\n        intent=intent,\n        serial=intent.serial,\n",
            (
                "    gone = (retiring(status.current, intent.trigger, intent.started_at),) if status.current else ()\n"
                "    return status.changed(\n"
                "        retiring=joined(status.retiring, gone),\n"
                "        intent=intent,\n"
                "        serial=intent.serial,\n"
            ),
        ),
        Edit(
            "lifecycle/decide.py",
            "    intent_open,\n    rotation_lost,\n",
            "    retiring_key_due,\n    intent_open,\n    rotation_lost,\n",
        ),
        Edit(
            "controller/act_retire.py",
            "    if _may_revoke_all(observed):\n        return None\n    for name",
            "    if key is not None:\n        return None\n    for name",
        ),
        caught_by=(crash("a_key", "rotation requested", "crash_after"),),
    ),
    Mutant(
        "revoke what is in the Secret",
        "I5",
        "A key that a former process delivered after all is revoked where it is used.",
        Edit(
            "controller/act_retire.py",
            "    return not record.digest or any(",
            "    return not record.digest and any(",
        ),
        caught_by=(rule("a_first_key_delivered_after_it_was_given_up_is_not_revoked_in_its_secret"),),
    ),
    Mutant(
        "look for an old plaintext only where old ones are kept",
        "I5",
        "A GitOps tool puts the first key's plaintext back; the key is revoked while workloads read it there.",
        Edit(
            "controller/act_retire.py",
            "    is_spared = entry.replaced_at is not None\n",
            "    is_spared = False\n",
        ),
        caught_by=(
            unit(
                "controller/test_contested_secret.py",
                "an_old_key_that_somebody_puts_back_again_and_again_is_never_revoked_while_it_is_there",
            ),
        ),
    ),
    Mutant(
        "take a 404 for a revoke",
        "section 4, Retire",
        "A key that this service key cannot see lives on, and nobody knows of it.",
        Edit(
            "controller/act_retire.py",
            ("    except errors.NotVisible:\n        row = await look_at_key(handle, ref.id"),
            ("    except errors.NotVisible:\n        return True\n        row = await look_at_key(handle, ref.id"),
        ),
        caught_by=(cluster_history("a_service_keys_content_swapped_in_place_says_nothing_about_its_children"),),
    ),
    Mutant(
        "take a key that lives for a revoked one",
        "section 4, Retire",
        "A 404 that passes by itself, and the old key lives for ever.",
        Edit(
            "controller/act_retire.py",
            "        return row.revoked_at is not None\n    return True\n",
            "        return row.id == ref.id\n    return True\n",
        ),
        caught_by=(
            unit(
                "controller/test_act_retire.py",
                "a_revoke_answered_by_404_is_done_only_when_the_key_is_seen_to_be_revoked",
            ),
        ),
    ),
    Mutant(
        "revoke for a namesake",
        "section 4, Reads",
        "What was decided about an object that is gone is done to the one that took its name.",
        Edit(
            "controller/act_retire.py",
            "    if live is None or live.key.metadata.uid != key.metadata.uid:\n",
            "    if live is None:\n",
        ),
        caught_by=(unit("controller/test_act_retire.py", "an_entry_of_a_namesake_is_not_what_was_decided_about"),),
    ),
    Mutant(
        "take a failed revoke for a revoke",
        "section 4, Retire",
        "A 503 at the wrong moment, and the old key lives for ever.",
        Edit("controller/act_retire.py", ("        return\n    if gone:"), ("        gone = True\n    if gone:")),
        caught_by=(crash("a_key", "rotation requested", "error_before"),),
    ),
)
"""How a key dies."""

DELETION = (
    Mutant(
        "let an object go with an undelivered POST",
        "section 4, Deletion",
        "The request arrives after the last look, and its key is nobody's.",
        Edit(
            "lifecycle/checks_deletion.py",
            ("    if case.status.intent is None:\n        return None\n    settled = begun_after(case)\n"),
            (
                "    if case.status.intent is None or case.key.is_being_deleted:\n"
                "        return None\n"
                "    settled = begun_after(case)\n"
            ),
        ),
        caught_by=(history("delete_with_an_undelivered_post"),),
    ),
    Mutant(
        "leave the tag on a released key",
        "section 4, Deletion",
        "A sweep takes the key for an orphan, and revokes what was to be left alone.",
        Edit(
            "controller/act_retire.py",
            "            update = UpdateRequest(name=released_name(row.name))\n",
            "            update = UpdateRequest(name=row.name)\n",
        ),
        caught_by=(history("orphan_then_three_sweeps"),),
    ),
    Mutant(
        "revoke on Orphan",
        "deletionPolicy",
        "What was to be left alone is revoked.",
        Edit(
            "lifecycle/checks_deletion.py",
            (
                "    if case.key.spec.deletion_policy is DeletionPolicy.ORPHAN:\n"
                "        return Decision(ReleaseKey(current)"
            ),
            ("    if case.key.spec.deletion_policy is None:\n        return Decision(ReleaseKey(current)"),
        ),
        caught_by=(history("orphan_then_three_sweeps"),),
    ),
    Mutant(
        "let an object go with its old keys",
        "I3",
        "A deletion during an overlap leaves the old key live.",
        Edit(
            "lifecycle/checks_deletion.py",
            ("    _old_key_alive,\n    _current_key_alive,\n"),
            "    _current_key_alive,\n",
        ),
        caught_by=(rule("an_object_deleted_during_an_overlap_takes_both_its_keys_along"),),
    ),
)
"""The end of an object."""
