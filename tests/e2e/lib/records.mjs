// What an event handler saw: one object for each event, in the order of arrival.

import { readFileSync, watch, writeFileSync } from "node:fs";
import { cleanup } from "./cleanup.mjs";
import { patience } from "./patience.mjs";

export class Records {
  events = [];
  #waiting = new Set();

  put(event) {
    this.events.push(event);
    for (const look of [...this.#waiting]) look();
  }

  of(connectionId) {
    return this.events.filter((event) => event.connectionId === connectionId);
  }

  // The first event that matches, as soon as it is there.
  wait(matches, what, milliseconds = patience) {
    return new Promise((resolve, reject) => {
      const look = () => {
        const found = this.events.find(matches);
        if (found) finish(resolve, found);
      };
      const finish = (settle, value) => {
        clearTimeout(timer);
        this.#waiting.delete(look);
        settle(value);
      };
      const timer = setTimeout(() => {
        const seen = this.events.map((event) => JSON.stringify(event)).join("\n");
        finish(reject, new Error(`the handler never saw ${what}; it saw:\n${seen}`));
      }, milliseconds);
      this.#waiting.add(look);
      look();
    });
  }

  kind(kind, connectionId) {
    return this.wait((e) => e.kind === kind && e.connectionId === connectionId, `${kind} of ${connectionId}`);
  }
}

// Records that a plugin writes, a line of JSON each, into a file.
export class FileRecords extends Records {
  #read = 0;

  constructor(t, file) {
    super();
    this.file = file;
    writeFileSync(file, "");
    const watcher = watch(file, () => this.#more());
    cleanup(t, () => watcher.close());
  }

  #more() {
    const bytes = readFileSync(this.file);
    const end = bytes.lastIndexOf(10) + 1;
    const lines = bytes.subarray(this.#read, end).toString().split("\n");
    this.#read = end;
    for (const line of lines) if (line) this.put(JSON.parse(line));
  }
}
