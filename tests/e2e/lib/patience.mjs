// How long a test waits for what must come. No test measures with it: a machine may be slow, busy
// with other tests, and its programs full of sanitizers.

export const patience = 60_000;
