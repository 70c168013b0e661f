// Why a peer cannot be measured; undefined when it can.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { folder } from "./bench.mjs";

export const missing = (file, why = "not installed (scripts/deps --bench)") => (existsSync(file) ? undefined : why);
export const missingNpm = (name) => missing(join(folder, "peers/node_modules", name));
