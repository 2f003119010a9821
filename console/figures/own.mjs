/** A manager of its own, with a catalog as large as a big installation's; gone afterwards. */
import { execFileSync, spawn } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

const PASSWORD = "a password that only figures know";
const STARTS_MS = 120_000;

/**
 * @param {string} program
 * @param {number} snapshots
 */
export async function startOwn(program, snapshots) {
  const folder = mkdtempSync(join(tmpdir(), "tintype-figures-"));
  const data = join(folder, "data");
  const env = { PATH: process.env.PATH, HOME: folder, TINTYPE_RUNTIME_DIR: join(folder, "run") };
  const port = await freePort();
  const address = `https://localhost:${port}`;
  const run = (/** @type {string[]} */ ...args) =>
    execFileSync(program, args, { env, encoding: "utf8", stdio: "pipe" });
  const serve = () =>
    served(spawn(program, ["serve", "--data", data, "--listen", `127.0.0.1:${port}`], { env }));
  const written = (/** @type {string} */ name, /** @type {string} */ text) => {
    const path = join(folder, name);
    writeFileSync(path, text);
    chmodSync(path, 0o600);
    return path;
  };
  try {
    const first = await serve();
    const before = written("before", /password (\S+)/.exec(first.told)?.[1] ?? "");
    const after = written("after", PASSWORD);
    const authority = join(data, "tls/authority.pem");
    run(
      ...["login", address, "--authority", authority],
      ...["--password-file", before, "--new-password-file", after],
    );
    await first.end();
    run("debug", "fill-catalog", "--data", data, "--snapshots", String(snapshots), "--items", "2");
    const second = await serve();
    return {
      door: { address, user: "admin", password: PASSWORD },
      async end() {
        await second.end();
        rmSync(folder, { recursive: true, force: true });
      },
    };
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
}

/**
 * Once it listens.
 * @param {import("node:child_process").ChildProcess} child
 * @returns {Promise<{ told: string, end: () => Promise<unknown> }>}
 */
function served(child) {
  const ended = new Promise((done) => child.once("exit", done));
  const end = () => {
    child.kill("SIGTERM");
    return ended;
  };
  return new Promise((done, failed) => {
    let told = "";
    const late = setTimeout(() => {
      end();
      failed(new Error(`the manager does not listen:\n${told}`));
    }, STARTS_MS);
    const hear = (/** @type {Buffer} */ bytes) => {
      told += bytes.toString();
      if (!told.includes("listens on")) return;
      clearTimeout(late);
      done({ told, end });
    };
    child.stdout?.on("data", hear);
    child.stderr?.on("data", hear);
    ended.then((code) => failed(new Error(`the manager ended with ${code}:\n${told}`)));
  });
}

/** @returns {Promise<number>} */
function freePort() {
  return new Promise((done) => {
    const server = createServer();
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => done(typeof address === "object" && address ? address.port : 0));
    });
  });
}
