// What a test started is stopped in the opposite order: clients before the broker,
// the broker before its event handler.

const stacks = new WeakMap();

async function unwind(stack) {
  let first;
  while (stack.length) {
    try {
      await stack.pop()();
    } catch (error) {
      first ??= error;
    }
  }
  if (first) throw first;
}

// `t` is a test context, or a Scope.
export function cleanup(t, undo) {
  let stack = stacks.get(t);
  if (!stack) {
    stacks.set(t, (stack = []));
    t.after(() => unwind(stack));
  }
  stack.push(undo);
}

// Stands in for a test context where the tests of a suite share what was started. To
// be made in the suite's body, where `after` still means the suite.
export class Scope {
  constructor(after) {
    this.after = () => {};
    cleanup(this, () => {});
    after(() => unwind(stacks.get(this)));
  }
}
