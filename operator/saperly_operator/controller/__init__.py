"""The imperative shell: watch, queue, observe, act. Deciding happens in lifecycle/."""
