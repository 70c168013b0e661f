// Counts the instructions of each scenario of the guard program under callgrind, and compares
// them with tests/guard/accepted.txt. scripts/guard calls it:
//
//   node tests/guard/count.mjs PROGRAM [--accept]
//
// Scenarios of secrets (tests/guard/secrets.c) are not compared with what is accepted but with
// each other: they take the same instructions, to the last one, whatever the secret.
//
// The counts are those of any machine: what the C library and OpenSSL do depends on the model
// of the processor, so of them only the calls are counted, each as LIBRARY_CALL instructions.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';

const TOLERANCE = 0.05;
const LIBRARY_CALL = 20;
const LISTED = 0.02; // functions below this part of their scenario are not kept
const GROWN_SHOWN = 6;
const accepted_file = new URL('accepted.txt', import.meta.url);

// ---- Counting -------------------------------------------------------------------------

/** Runs the program; one text for each scenario, as callgrind writes it. */
function profiles(program) {
    const folder = mkdtempSync(join(tmpdir(), 'pubhook-guard-'));
    try {
        const run = spawnSync('valgrind', ['--tool=callgrind', '--instr-atstart=no',
            '--compress-strings=no', '--compress-pos=no', `--callgrind-out-file=${join(folder, 'p')}`,
            program], {
            encoding: 'utf8',
            // Nothing of the environment: symbols are bound before the first round, and OpenSSL
            // takes the same code for each processor.
            env: { PATH: process.env.PATH, LD_BIND_NOW: '1', OPENSSL_ia32cap: '0' },
        });
        if (run.error) throw new Error(`valgrind does not start: ${run.error.message}; scripts/deps --test installs it`);
        if (run.status !== 0) throw new Error(`valgrind ${program} ended with ${run.status ?? run.signal}:\n${run.stderr}`);
        return {
            made_with: run.stdout.trim(),
            texts: readdirSync(folder).map((name) => readFileSync(join(folder, name), 'utf8')),
        };
    } finally {
        rmSync(folder, { recursive: true });
    }
}

// "__memset_avx2_unaligned_erms" is memset, "parse.constprop.0" and "parse'2" are parse.
const common_name = (name) => name.replace(/\.(constprop|isra|part|cold|lto_priv)\b.*|'\d+$|@.*/, '')
    .replace(/^_+(?:GI_)?(\w+?)_(avx|sse|ssse|evex|erms|unaligned|generic).*/, '$1');

/** Of whom the instructions are counted; of others it is the calls. */
const is_counted = (object) => !/\/(libc|libcrypto|libm|ld-linux[^/]*)\.so[^/]*$|^\?\?\?$/.test(object);
const is_crypto = (object) => /\/libcrypto\.so/.test(object);
/** Debian's libraries have no names for what is private to them, and tell no files. */
function function_name(object, file, name) {
    if (name.startsWith('0x')) return basename(object);
    return file.includes('/') && is_counted(object) ? `${file.split('/').slice(-2).join('/')}: ${common_name(name)}` : common_name(name);
}

/** { name, total, functions } of one dump, for a round, and `all` that all rounds took, in libraries
 *  too; undefined for the dump at the end. */
function read_profile(text) {
    const trigger = text.match(/^desc: Trigger: Client Request: (\S+) (\d+)$/m);
    if (!trigger) return undefined;
    const rounds = Number(trigger[2]), functions = new Map();
    const add = (name, n) => functions.set(name, (functions.get(name) ?? 0) + n / rounds);
    let all = 0, object = '', file = '', name = '', callee_object, callee, is_call = false;
    for (const line of text.slice(text.indexOf('\nevents:')).split('\n')) {
        const [, key, value] = line.match(/^(\w+)=(.*)$/) ?? [];
        if (key === 'ob') object = value;
        else if (key === 'fl') file = value;
        else if (key === 'fn') name = value;
        else if (key === 'cob') callee_object = value;
        else if (key === 'cfn') callee = value;
        else if (key === 'calls') {
            const of = callee_object ?? object;
            if (!is_counted(of) && (is_counted(object) || is_crypto(of)))
                add(`calls of ${is_crypto(of) ? basename(of) : function_name(of, '', callee)}`, Number.parseInt(value, 10) * LIBRARY_CALL);
            callee_object = callee = undefined;
            is_call = true; // the next line is what the call cost, and belongs to the callee
        } else if (/^\d/.test(line)) {
            const n = Number(line.split(' ')[1]);
            if (!is_call) all += n;
            if (!is_call && is_counted(object)) add(function_name(object, file, name), n);
            is_call = false;
        }
    }
    const total = [...functions.values()].reduce((sum, n) => sum + n, 0);
    return { name: trigger[1], total: Math.round(total), all, functions: sorted(functions) };
}

const sorted = (functions) => new Map([...functions].map(([name, n]) => [name, Math.round(n)])
    .sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)));

/** name -> { total, functions }, in the order in which the program runs them. */
function count(program) {
    const { made_with, texts } = profiles(program);
    const part = (text) => Number(text.match(/^part: (\d+)$/m)?.[1]);
    const all = texts.sort((a, b) => part(a) - part(b)).map(read_profile).filter(Boolean);
    if (all.length === 0) throw new Error(`${program} left no profile: is it built with the header of this valgrind?`);
    if (!made_with.endsWith('optimized')) throw new Error(`${program} is built without optimization or with sanitizers: its counts say nothing`);
    const is_secret = ({ name }) => name.includes('=');
    return {
        made_with,
        scenarios: new Map(all.filter((s) => !is_secret(s)).map((s) => [s.name, s])),
        secrets: all.filter(is_secret),
    };
}

// ---- Secrets ----------------------------------------------------------------------------

/** The works that take longer or shorter by what they are given, a text for each. */
function leaks({ secrets }) {
    const works = new Map();
    for (const s of secrets) {
        const [work, variant] = s.name.split('=');
        works.set(work, [...(works.get(work) ?? []), { variant, all: s.all }]);
    }
    if (works.size === 0) throw new Error('no scenario has a secret: see tests/guard/secrets.c');
    return [...works].filter(([, variants]) => variants.some(({ all }) => all !== variants[0].all))
        .map(([work, variants]) => `${work}: its time depends on the secret; instructions of all rounds:\n` +
            variants.map(({ variant, all }) => `    ${variant.padEnd(48)} ${number(all)}\n`).join(''));
}

// ---- What is accepted -------------------------------------------------------------------

const HEADER = `# Instructions of one round of each scenario of tests/guard, and of its functions that take
# 2 per cent or more. A call of the C library or of OpenSSL counts as ${LIBRARY_CALL}. scripts/guard fails
# when a scenario costs more than 5 per cent more; scripts/guard --accept writes this file.
`;

function write_accepted({ made_with, scenarios }) {
    const row = (indent, name, n) => `${indent}${name.padEnd(60 - indent.length)}${String(n).padStart(10)}\n`;
    let text = `${HEADER}# Counted with: ${made_with}\n`;
    for (const [name, { total, functions }] of scenarios) {
        text += `\n${row('', name, total)}`;
        for (const [f, n] of functions) if (n >= total * LISTED) text += row('    ', f, n);
    }
    writeFileSync(accepted_file, text);
}

function read_accepted() {
    const scenarios = new Map();
    let scenario, made_with = 'unknown';
    for (const line of readFileSync(accepted_file, 'utf8').split('\n')) {
        const row = line.match(/^( *)(.*?) +(\d+)$/);
        if (line.startsWith('# Counted with: ')) made_with = line.slice(16);
        if (!row || line.startsWith('#')) continue;
        if (row[1]) scenario.functions.set(row[2], Number(row[3]));
        else scenarios.set(row[2], scenario = { total: Number(row[3]), functions: new Map() });
    }
    return { made_with, scenarios };
}

// ---- Comparing --------------------------------------------------------------------------

const number = (n) => n.toLocaleString('en-US');
const per_cent = (now, before) => `${(Math.abs(now / before - 1) * 100).toFixed(1)} per cent`;

/** The functions that grew most, or that are new among those that cost something. */
function grown(before, now) {
    return [...now.functions].map(([name, n]) => ({ name, n, was: before.functions.get(name) }))
        .map((f) => ({ ...f, more: f.n - (f.was ?? 0) }))
        .filter((f) => f.more >= before.total * LISTED)
        .sort((a, b) => b.more - a.more).slice(0, GROWN_SHOWN)
        .map((f) => `    ${f.name.padEnd(48)} ${f.was === undefined ? 'little or nothing' : number(f.was)} -> ${number(f.n)}\n`)
        .join('');
}

function compare(accepted, counted) {
    const findings = { dearer: [], cheaper: [], news: [], gone: [] };
    for (const [name, now] of counted.scenarios) {
        const before = accepted.scenarios.get(name);
        const ratio = before && now.total / before.total;
        if (!before) findings.news.push(`${name}: nothing is accepted yet (now ${number(now.total)})`);
        else if (ratio > 1 + TOLERANCE) {
            findings.dearer.push(`${name}: ${number(now.total)} instructions, ${per_cent(now.total, before.total)} ` +
                `more than the ${number(before.total)} that are accepted; grown most:\n${grown(before, now)}`);
        } else if (ratio < 1 - TOLERANCE) {
            findings.cheaper.push(`${name}: ${number(now.total)} instructions, ${per_cent(now.total, before.total)} ` +
                `less than the ${number(before.total)} that are accepted`);
        }
    }
    for (const name of accepted.scenarios.keys())
        if (!counted.scenarios.has(name)) findings.gone.push(`${name}: accepted, but there is no such scenario`);
    return findings;
}

function report(accepted, counted) {
    const { dearer, cheaper, news, gone } = compare(accepted, counted);
    const wrong = [...dearer, ...news, ...gone], leaking = leaks(counted);
    for (const line of [...leaking, ...wrong, ...cheaper]) console.log(`guard: ${line}`);
    if (cheaper.length > 0) console.log('guard: so that the better counts are held from now on: scripts/guard --accept');
    if (wrong.length > 0) {
        if (accepted.made_with !== counted.made_with)
            console.log(`guard: accepted with ${accepted.made_with}, counted with ${counted.made_with}`);
        console.log('guard: make it cheaper; or, if the cost is worth it, say in the commit what for and: scripts/guard --accept');
    }
    console.log(`guard: ${counted.scenarios.size - dearer.length - news.length} of ${counted.scenarios.size} scenarios cost what is accepted`);
    return wrong.length === 0 && leaking.length === 0;
}

const [program, option] = process.argv.slice(2);
try {
    const counted = count(program);
    if (option === '--accept') {
        write_accepted(counted);
        console.log(`guard: accepted the counts of ${counted.scenarios.size} scenarios, in tests/guard/accepted.txt`);
    } else {
        process.exitCode = report(read_accepted(), counted) ? 0 : 1;
    }
} catch (error) {
    console.error(`guard: ${error.message}`);
    process.exitCode = 2;
}
