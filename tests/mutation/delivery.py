"""Mutants of delivery: from the plaintext to the Secret, and between two processes.

The list as a whole is in ``mutants``."""

from tests.mutation.mutant import Edit, Mutant, crash, history

_CHANGES = "tests/unit/controller/test_changes_on_the_way.py::test_"
_STALLED = history("a_leader_stalled_between_reading_and_writing_the_secret_while_another_replays")

DELIVERY = (
    Mutant(
        "swap the two reads before the Secret write",
        "section 4, Secret",
        "A process that stood still in between overwrites what its successor decided by.",
        Edit(
            "controller/act_secret.py",
            (
                "    existing = await read_secret(tools, key.namespace, key.secret_name)\n"
                "    body = await tools.kube.get(SAPERLY_KEYS, key.namespace, key.name)\n"
                "    tools.cache.put_key(body)\n"
            ),
            (
                "    body = await tools.kube.get(SAPERLY_KEYS, key.namespace, key.name)\n"
                "    existing = await read_secret(tools, key.namespace, key.secret_name)\n"
                "    tools.cache.put_key(body)\n"
            ),
        ),
        caught_by=(_STALLED,),
    ),
    Mutant(
        "drop the fence",
        "section 4, Lost plaintext",
        "A write that was prepared before the key was given up succeeds after it.",
        Edit(
            "lifecycle/checks_intent.py",
            (
                "        if isinstance(case.observed.secret, SecretOwned) "
                "or isinstance(case.observed.former_secret, SecretOwned):\n"
            ),
            "        if case.observed.secret is None:\n",
        ),
        caught_by=(_STALLED,),
    ),
    Mutant(
        "write the Secret for an intent that is another's",
        "section 4, Secret",
        "A key that the successor gave up gets into the Secret, and dies there.",
        Edit(
            "controller/act_secret.py",
            "    return same and fresh.metadata.uid == key.metadata.uid\n",
            "    return True or same\n",
        ),
        caught_by=(_STALLED,),
    ),
    Mutant(
        "write the Secret under any version",
        "section 4, Secret",
        "Two processes overwrite each other, and the fence holds nobody.",
        Edit("controller/secret_body.py", '            "resourceVersion": view.version,\n', ""),
        caught_by=(_STALLED,),
    ),
    Mutant(
        "take an intent over at once",
        "section 4, Takeover",
        "A write of the dead process that is still on its way lands after the key was given up.",
        Edit(
            "lifecycle/checks_intent.py",
            ("    if case.now < settled:\n        return Decision(WaitUntil(settled), reasons.RESUMING, message)\n"),
            (
                "    if case.now < settled.min.replace(tzinfo=settled.tzinfo):\n"
                "        return Decision(WaitUntil(settled), reasons.RESUMING, message)\n"
            ),
        ),
        caught_by=(history("a_write_of_the_secret_delivered_after_its_process_died"),),
    ),
    Mutant(
        "go on with another's intent without signing it",
        "section 4, Takeover",
        "The former process still takes itself for the holder, and writes the Secret.",
        Edit(
            "lifecycle/checks_intent.py",
            ("    if intent.holder == myself.holder:\n        return None\n"),
            (
                "    if intent.holder == myself.holder or myself.started_at > intent.started_at:\n"
                "        return None\n"
            ),
        ),
        caught_by=(
            _STALLED,
            history("a_leader_stalled_with_its_first_key_while_another_replays"),
        ),
    ),
    Mutant(
        "trust an annotation's id",
        "section 4, Reads",
        "Whoever may edit the Secret makes the operator record, and later revoke, somebody else's key.",
        Edit(
            "lifecycle/checks_written.py",
            "        ) == (row.id, row.key_prefix, intent.serial):\n",
            "        ) != (row.id, row.key_prefix, intent.serial + 99):\n",
        ),
        Edit(
            "lifecycle/checks_written.py",
            "            return Decision(Record(ref, kept)",
            (
                "            named = getattr(getattr(secret, 'record', None), 'key_id', ref.id)\n"
                "            return Decision(Record(ref.changed(id=named), kept)"
            ),
        ),
        Edit(
            "lifecycle/checks_written.py",
            "if mark is not None and (before is None or mark != before.fingerprint):",
            "if mark is not None:",
        ),
        caught_by=(history("a_record_that_names_somebody_elses_key"),),
    ),
    Mutant(
        "trust an id without the rest of its record",
        "section 4, Lost plaintext",
        "Status names a key that the Secret does not hold; the one that it holds is revoked.",
        Edit(
            "lifecycle/checks_written.py",
            "        ) == (row.id, row.key_prefix, intent.serial):\n",
            "        )[0] == row.id:\n",
        ),
        Edit(
            "lifecycle/checks_written.py",
            "if mark is not None and (before is None or mark != before.fingerprint):",
            "if mark is not None:",
        ),
        caught_by=(history("a_record_that_names_the_lost_key"),),
    ),
    Mutant(
        "give a refused key up and forget it",
        "section 4, Secret",
        "Each try against a policy that refuses Secrets leaves a live key.",
        Edit(
            "lifecycle/checks_intent.py",
            ("    return Decision(\n        AbandonIntent((lost,), reasons.SECRET_WRITE_REFUSED, until)"),
            ("    return Decision(\n        AbandonIntent((lost,)[:0], reasons.SECRET_WRITE_REFUSED, until)"),
        ),
        caught_by=(history("dry_run_passes_write_refused_for_ever"),),
    ),
    Mutant(
        "try a refused write without backing off",
        "I4",
        "A policy that refuses Secrets for a day costs a key every few minutes.",
        Edit(
            "lifecycle/checks_intent.py",
            "    return exponential(failures + 1, case.timings.backoff_first, case.timings.backoff_limit)\n",
            "    return exponential(failures + 1, case.timings.retry_first, case.timings.retry_first)\n",
        ),
        caught_by=(history("dry_run_passes_write_refused_for_ever"),),
    ),
    Mutant(
        "drop the plaintext when the Secret cannot be written",
        "section 4, Secret",
        "An API server that is away for a minute costs a key.",
        Edit(
            "controller/act_secret.py",
            "        scratch.held = replace(held, refused_since=None, refusal=None)\n",
            "        scratch.close_intent()\n",
        ),
        caught_by=(history("a_sweep_during_a_30_minute_secret_outage"),),
    ),
    Mutant(
        "leave an intent open while suspended",
        "section 2, suspend",
        "A key that was delivered is never recorded, and goes for an orphan.",
        Edit(
            "lifecycle/decide.py",
            "    intent_open,\n    rotation_lost,\n",
            "    _suspended,\n    intent_open,\n    rotation_lost,\n",
        ),
        caught_by=(history("suspend_right_after_the_secret_write"),),
    ),
    Mutant(
        "look for an old plaintext where the spec names it now",
        "section 2, previousKey",
        "It was kept under another entry, and stays in the Secret for ever.",
        Edit("controller/secret_states.py", "(name in places or mark == kept)}", "name in places}"),
        caught_by=(_CHANGES + "an_old_plaintext_is_found_where_it_was_kept_whatever_the_spec_says_by_now",),
    ),
    Mutant(
        "look for a new key under the wanted entry only",
        "section 4, Lost plaintext",
        "A rename between the Secret and the record costs a key, and leaves a dead plaintext behind.",
        Edit(
            "lifecycle/checks_written.py",
            "if secret.intact else secret.misplaced or (wanted, None)",
            "if secret.intact else (wanted, None)",
        ),
        caught_by=(_CHANGES + "a_first_key_is_found_under_the_entry_where_it_was_written",),
    ),
    Mutant(
        "delete a stray Secret by what the watch shows of its object",
        "section 4, Reads",
        "A process that lags behind deletes the Secret that its successor moved the key to.",
        Edit(
            "controller/act_secret_removal.py",
            "    fresh = SaperlyKey.from_api(body)\n    is_used",
            "    fresh = key\n    is_used",
        ),
        caught_by=(_CHANGES + "a_secret_that_another_process_moved_the_key_to_is_not_a_stray_one",),
    ),
    Mutant(
        "set an attribute before it is remembered",
        "section 2, spec",
        "One that was set, and taken out of the spec before status could say so, stays at Saperly for ever.",
        Edit(
            "controller/act_update.py",
            "    if claimed != step.ref.claimed_values:\n",
            "    if step is None:\n",
        ),
        caught_by=(_CHANGES + "an_attribute_that_was_set_and_taken_away_before_status_knew_is_cleared",),
    ),
    Mutant(
        "write status under any version",
        "section 4, Intent",
        "A decision that rests on the past overwrites what was stored since.",
        Edit(
            "controller/status_writer.py",
            (
                '            "metadata": {"uid": key.metadata.uid, "resourceVersion": key.metadata.resource_version},\n'
                '            "status"'
            ),
            ('            "metadata": {"uid": key.metadata.uid},\n            "status"'),
        ),
        caught_by=(
            crash("a_key", "first key", "stall_before"),
            crash("a_key", "first key", "stall_after"),
            crash("a_key", "rotation requested", "stall_before"),
        ),
    ),
)
"""From the plaintext to the Secret, and between two processes."""
