// Empty: it allows functions without a body, which are linked to the runtime's.
