// Chance that can be had again: the seed is printed, and taken from the environment.

import { randomInt } from "node:crypto";

export class Random {
  // `t` is told the seed; PUBHOOK_SEED=N plays the same test again.
  constructor(t) {
    this.seed = Number(process.env.PUBHOOK_SEED ?? randomInt(2 ** 31));
    this.state = this.seed;
    t.diagnostic(`seed: PUBHOOK_SEED=${this.seed}`);
  }
  // From 0 to below `limit`. (The generator is "mulberry32".)
  below(limit) {
    let a = (this.state = (this.state + 0x6d2b79f5) | 0);
    a = Math.imul(a ^ (a >>> 15), a | 1);
    a ^= a + Math.imul(a ^ (a >>> 7), a | 61);
    return ((a ^ (a >>> 14)) >>> 0) % limit;
  }
  between(low, high) {
    return low + this.below(high - low + 1);
  }
  oneIn(n) {
    return this.below(n) === 0;
  }
  pick(items) {
    return items[this.below(items.length)];
  }
  // A generator of its own for one of several that run side by side.
  fork() {
    const fork = Object.create(Random.prototype);
    fork.seed = this.seed;
    fork.state = this.below(2 ** 31);
    return fork;
  }
}
