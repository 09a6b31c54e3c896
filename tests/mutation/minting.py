"""Mutants of minting: before a request is sent, and what its answer (or none) means.

The list as a whole is in ``mutants``."""

from tests.mutation.mutant import Edit, Mutant, cluster_history, crash, history, rule

MINTING = (
    Mutant(
        "store the intent after the POST",
        "I1",
        "A crash in between leaves a key that nothing in the cluster knows of.",
        Edit(
            "controller/act_mint.py",
            "    status = intent_stored(observed.key.status, step.intent, observed.myself.installation)\n",
            (
                "    handle = tools.handle(observed.key, step.intent.provider, step.intent.service_key)\n"
                "    assert handle is not None\n"
                "    await handle.api.mint(step.intent.request, step.intent.idempotency_key)\n"
                "    status = intent_stored(observed.key.status, step.intent, observed.myself.installation)\n"
            ),
        ),
        caught_by=(crash("a_key", "first key", "crash_before"),),
    ),
    Mutant(
        "send another body than the stored one",
        "I1",
        "A replay that is not identical is refused (409), and the key of the first request is lost.",
        Edit(
            "controller/act_mint.py",
            "lambda: handle.api.mint(intent.request, intent.idempotency_key)",
            'lambda: handle.api.mint(intent.request + " ", intent.idempotency_key)',
        ),
        caught_by=(crash("a_key", "first key", "crash_before"),),
    ),
    Mutant(
        "mint without a finalizer",
        "section 4, Deletion",
        "An object that is deleted early goes at once, and its key lives on.",
        Edit(
            "lifecycle/checks_mint.py",
            "    if case.key.has_finalizer:\n        return None\n    return Decision(AddFinalizer()",
            "    if case.key is not None:\n        return None\n    return Decision(AddFinalizer()",
        ),
        Edit("lifecycle/decide.py", "    _finalizer_stripped,\n    intent_open", "    intent_open"),
        caught_by=(crash("an_end", "deleted", "crash_before"),),
    ),
    Mutant(
        "never limit mints",
        "I4",
        "A script that sets rotate-requested-at in a loop mints without end.",
        Edit(
            "lifecycle/checks_mint.py",
            "    if len(recent) < case.timings.mint_limit:\n",
            "    if len(recent) <= 3:\n",
        ),
        caught_by=(history("100_rotate_requests_in_an_hour"),),
    ),
    Mutant(
        "deliver again for ever",
        "I4",
        "A controller that takes the Secret for its own costs 72 keys a day.",
        Edit(
            "lifecycle/redelivery.py", "    if until is None:\n", "    if until is None or case.observed.is_live:\n"
        ),
        caught_by=(rule("a_secret_that_something_rewrites_after_each_delivery"),),
    ),
    Mutant(
        "use a serial twice",
        "section 3, Serial",
        "Two keys bear one tag: a list cannot tell which of them an unknown request minted.",
        Edit(
            "lifecycle/checks_mint.py",
            "max(case.status.serial or 0, recorded, memory.listed_serial, case.observed.swept_serial)",
            "(case.status.current.serial if case.status.current else 0)",
        ),
        caught_by=(history("an_intent_found_after_the_vendor_forgot_its_idempotency_key"),),
    ),
    Mutant(
        "mint anew on a watch event",
        "I8, section 4, Reads",
        "A stripped label looks like a deleted Secret, and costs a key and a restart.",
        Edit(
            "lifecycle/checks_keep.py",
            "    return deliver_again(case, reason) if case.observed.is_live else Decision(ReadLive(), reason, message)",
            "    return deliver_again(case, reason) if message else Decision(ReadLive(), reason, message)",
        ),
        Edit(
            "controller/act_mint.py",
            ("        await _learn_secret(tools, (key.namespace, key.secret_name))\n        return\n"),
            "        pass\n",
        ),
        caught_by=(history("the_managed_by_label_stripped"),),
    ),
    Mutant(
        "mint anew when a Secret is renamed",
        "I8",
        "A cosmetic change replaces a key that is in use.",
        Edit(
            "lifecycle/checks_keep.py",
            "    if holds(source, kept):\n",
            "    if holds(source, kept) and case.now is None:\n",
        ),
        caught_by=(crash("a_key", "Secret renamed", "twice"),),
    ),
    Mutant(
        "mint without a dry run",
        "section 4, Preflight",
        "A full quota costs a key at every try.",
        Edit(
            "controller/act_mint.py",
            (
                "        await tools.kube.create(SECRETS, key.namespace, dry_run_body(key), dry_run=True)\n"
                "        return\n"
            ),
            "        return\n",
        ),
        caught_by=(rule("nothing_is_minted_for_a_full_quota"),),
    ),
)
"""Before a request is sent."""

OUTCOMES = (
    Mutant(
        "ignore the redacted replay",
        "section 4, Lost plaintext",
        "A key whose plaintext was lost is waited for, for ever.",
        Edit(
            "controller/act_mint.py",
            "            scratch.redacted = RedactedKey(intent.serial, key)",
            "            del key",
        ),
        caught_by=(crash("a_key", "first key", "crash_after"),),
    ),
    Mutant(
        "forget the lost key",
        "I3",
        "The key of a lost answer stays live, and nobody knows of it.",
        Edit(
            "lifecycle/checks_intent.py",
            "    return Decision(AbandonIntent((lost,), reasons.PLAINTEXT_LOST, _next_try(case))",
            "    return Decision(AbandonIntent((lost,)[:0], reasons.PLAINTEXT_LOST, _next_try(case))",
        ),
        caught_by=(crash("a_key", "first key", "crash_after"),),
    ),
    Mutant(
        "take a new key on an unknown outcome",
        "section 4, POST",
        "Every timeout costs a key that nobody looks for.",
        Edit(
            "controller/act_failures.py",
            "            await tools.statuses.store(observed.key, failed(status, failure), standing, news)",
            (
                "            await tools.statuses.store(observed.key, mint_refused(status, None), standing, news)\n"
                "            tools.scratch(observed).close_intent()"
            ),
        ),
        caught_by=(crash("a_key", "first key", "lost_after"),),
    ),
    Mutant(
        "replay after 12 hours",
        "section 4, POST",
        "The vendor has forgotten the Idempotency-Key, and mints a second key.",
        Edit(
            "lifecycle/checks_intent.py",
            "    too_old = not -timings.clock_tolerance <= age <= timings.replay_limit\n",
            "    too_old = not -timings.clock_tolerance <= age\n",
        ),
        caught_by=(history("an_intent_found_after_the_vendor_forgot_its_idempotency_key"),),
    ),
    Mutant(
        "replay for ever",
        "section 4, POST",
        "A 5xx that is cached is all that ever comes back.",
        Edit(
            "lifecycle/checks_intent.py",
            "failure.code != reasons.OUTCOME_UNKNOWN or failure.count < timings",
            "failure.code == reasons.OUTCOME_UNKNOWN or failure.count < timings",
        ),
        caught_by=(history("a_5xx_that_is_cached"),),
    ),
    Mutant(
        "give an unknown outcome up without a list",
        "I3",
        "What the request minted is never found.",
        Edit(
            "lifecycle/checks_intent.py",
            ("    sweep = case.swept(intent.provider, intent.service_key, after)\n    message"),
            (
                "    sweep = case.swept(intent.provider, intent.service_key, after) or SweepView(after, after, ())\n"
                "    message"
            ),
        ),
        Edit(
            "lifecycle/checks_intent.py",
            "import SecretOwned, ServiceKeyUnusable, ServiceKeyUsable\n",
            "import SecretOwned, ServiceKeyUnusable, ServiceKeyUsable, SweepView\n",
        ),
        caught_by=(history("a_5xx_that_is_cached"),),
    ),
    Mutant(
        "believe a list that was begun too early",
        "section 4, POST",
        "A request that arrives after the list was begun mints a key that nobody looks for any more.",
        Edit(
            "lifecycle/checks_intent.py",
            "    return max(moments) + case.timings.delivery_settle\n",
            "    return min(moments)\n",
        ),
        caught_by=(rule("a_request_that_leaves_and_arrives_late_is_waited_for_by_a_deletion"),),
    ),
    Mutant(
        "repeat a request on what the watch shows",
        "section 4, Reads",
        "A process that stood still mints for an object that is gone.",
        Edit(
            "lifecycle/checks_intent.py",
            "    if not is_fresh and not case.observed.is_live:\n",
            "    if not is_fresh and case.observed is None:\n",
        ),
        caught_by=(history("a_request_is_not_repeated_for_an_object_that_is_gone"),),
    ),
    Mutant(
        "send a request with another service key",
        "section 4, Intent",
        "Under another service key the same Idempotency-Key mints a second key.",
        Edit(
            "lifecycle/checks_intent.py",
            "        case ServiceKeyUsable(material=material) if intent.material and material != intent.material:\n",
            "        case ServiceKeyUsable(material=material) if intent.material and not material:\n",
        ),
        caught_by=(cluster_history("a_service_keys_content_swapped_in_place"),),
    ),
)
"""What an answer, or none, means."""
