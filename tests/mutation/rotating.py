"""Mutants of the rotation in one step (``spec.rotation.strategy: Atomic``).

The list as a whole is in ``mutants``."""

from tests.mutation.mutant import Edit, Mutant, crash

_HISTORIES = "tests/simulation/test_rotation_in_one_step.py::test_"
_ACT = "tests/unit/controller/test_act_rotate.py::test_"
_TRANSITIONS = "tests/unit/lifecycle/test_transitions_rotation.py::test_"

ROTATING = (
    Mutant(
        "rotate under another Idempotency-Key than the stored one",
        "I1, section 4, Atomic",
        "A replay rotates a key that is dead already, and the successor of the first request is nobody's.",
        Edit(
            "controller/act_rotate.py",
            "lambda: handle.api.rotate(key_id, intent.idempotency_key),",
            'lambda: handle.api.rotate(key_id, intent.idempotency_key + "-again"),',
        ),
        caught_by=(crash("a_key", "rotated in one step", "crash_before"),),
    ),
    Mutant(
        "forget that the key in the Secret is dead",
        "I2, section 4, Atomic",
        "A suspended object keeps a dead key, and nothing says so.",
        Edit("lifecycle/transitions_rotation.py", "FailedRotation(id=intent.rotates, dead=dead)", "None"),
        caught_by=(_HISTORIES + "a_suspended_object_gets_the_key_that_it_is_owed",),
    ),
    Mutant(
        "rotate where no mint could make up for a loss",
        "I2, I4",
        "The plaintext is lost with the hour's last mint, and the Secret holds a dead key for the rest of the hour.",
        Edit(
            "lifecycle/checks_rotate.py",
            "len(recent_intents(case)) < case.timings.mint_limit - 1",
            "len(recent_intents(case)) < case.timings.mint_limit",
        ),
        caught_by=(_ACT + "without_a_mint_to_spare_the_key_is_minted_and_the_old_one_ends_at_once",),
    ),
    Mutant(
        "tell a rotated key by the serial in its name",
        "I3, section 4, Atomic",
        "Its name still bears the serial of the one before it: the list seems to show that nothing came of the request.",
        Edit(
            "lifecycle/sweep_view.py",
            "        if intent.operation is Operation.ROTATE:",
            "        if intent is None:",
        ),
        caught_by=(_HISTORIES + "a_deletion_while_the_key_is_being_replaced[crash_after-Revoke]",),
    ),
    Mutant(
        "never look at the key whose answer does not come",
        "section 4, Atomic",
        "A 5xx that is cached leaves a dead key in the Secret until a list is at hand.",
        Edit(
            "controller/act_rotate.py",
            "    return _Found.ALIVE if row.revoked_at is None else _Found.DEAD\n",
            "    return _Found.ALIVE\n",
        ),
        caught_by=(_ACT + "an_answer_that_never_comes_again_is_made_up_for_by_a_look_at_the_key",),
    ),
    Mutant(
        "forget what took the place of a dead key",
        "I3",
        "The successor whose answer never came stays live, and nobody looks for it.",
        Edit("lifecycle/transitions_rotation.py", "lost=(*others, lost)", "lost=others"),
        caught_by=(_HISTORIES + "an_object_does_not_go_before_a_list_showed_what_took_its_keys_place",),
    ),
    Mutant(
        "let an object go before a list showed what took its key's place",
        "I3, section 4, Deletion",
        "The object goes, and the successor that nobody knows stays live.",
        Edit(
            "lifecycle/checks_deletion.py",
            "    successor_listed,\n    successor_unlisted,\n    _rollout",
            "    _rollout",
        ),
        caught_by=(_HISTORIES + "an_object_does_not_go_before_a_list_showed_what_took_its_keys_place",),
    ),
    Mutant(
        "leave a dead key behind with Orphan",
        "section 4, Deletion",
        "The Secret that was to live on holds the key that was rotated away.",
        Edit(
            "controller/act_secret.py",
            "    return fresh.is_being_deleted and not keeps\n",
            "    return fresh.is_being_deleted or keeps is None\n",
        ),
        caught_by=(_HISTORIES + "with_orphan_the_plaintext_in_hand_still_reaches_the_secret",),
    ),
    Mutant(
        "let a key that was asked to end live through an overlap",
        "section 2, strategy",
        "Saperly does not rotate a compromised key, and it goes on working for an hour or a week.",
        Edit(
            "lifecycle/transitions_rotation.py",
            "    return is_asked_in_one_step(key)\n",
            "    return is_asked_in_one_step(key) and before is None\n",
        ),
        caught_by=(_TRANSITIONS + "how_long_the_key_before_lives_on",),
    ),
    Mutant(
        "rotate again what Saperly does not rotate",
        "I8, section 4, Atomic",
        "The same refusal for ever, and no key is ever minted instead.",
        Edit("lifecycle/checks_rotate.py", "    if (failed is not None and failed.id == current.id) or ", "    if "),
        caught_by=(_ACT + "a_key_that_saperly_does_not_rotate_is_replaced_by_a_mint_and_ends_at_once",),
    ),
)
"""The old key dies with the request: whatever goes wrong has to end quickly."""
