import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const PROGRAM = process.env.TINTYPE_PROGRAM ?? "../target/debug/tintype";
const STARTS_MS = 60_000;
export const PASSWORD = "a password that only stories know";

/** What stories look at of that which the command line lists. */
interface Listed {
  id: string;
  /** Of a restore. */
  run?: { id: string };
}

/** A real manager in a directory of its own, with whatever stories put on its host. */
export class Manager {
  readonly folder = mkdtempSync(join(tmpdir(), "tintype-stories-"));
  url = "";
  #port = 0;
  #child: ChildProcess | undefined;
  /** Told once, at its first start. */
  firstPassword = "";

  async start(): Promise<void> {
    this.#port ||= await freePort();
    const data = join(this.folder, "data");
    const child = spawn(PROGRAM, ["serve", "--data", data, "--listen", `127.0.0.1:${this.#port}`], {
      env: this.#environment(),
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#child = child;
    this.url = `https://localhost:${this.#port}`;
    const told = await listening(child);
    this.firstPassword ||= /password (\S+)/.exec(told)?.[1] ?? "";
  }

  async stop(): Promise<void> {
    const child = this.#child;
    if (!child || child.exitCode !== null) return;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGTERM");
    await ended;
  }

  async end(): Promise<void> {
    await this.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** Logs the command line in; the first time with a password of its own. */
  logIn(): void {
    const before = this.write("one-time", this.firstPassword);
    const password = this.write("password", PASSWORD);
    const authority = join(this.folder, "data/tls/authority.pem");
    this.run(
      "login",
      this.url,
      "--authority",
      authority,
      "--password-file",
      before,
      "--new-password-file",
      password,
    );
  }

  /** What the command line does, stories need not do by hand. */
  run(...args: string[]): string {
    return execFileSync(PROGRAM, args, {
      env: this.#environment(),
      encoding: "utf8",
      stdio: "pipe",
    });
  }

  /** All of a kind, the newest first where that is known. */
  list(of: string): Listed[] {
    const lines = this.run(of, "list", "--json").trim().split("\n");
    const all: (Listed & { event?: string })[] = lines.map((line) => JSON.parse(line));
    return all.filter(({ event }) => event !== "summary");
  }

  /** The same where it is meant to fail. */
  try(...args: string[]): void {
    try {
      this.run(...args);
    } catch {
      // What came of it is what the story looks at.
    }
  }

  /** A line as it was shown, typed on the manager's host. */
  type(line: string): string {
    const env = { ...this.#environment(), TINTYPE_DATA: join(this.folder, "data") };
    const program = line.replace(/^tintype /, `'${resolve(PROGRAM)}' `);
    return execFileSync("sh", ["-c", program], { env, encoding: "utf8", stdio: "pipe" });
  }

  write(name: string, text: string): string {
    const path = join(this.folder, name);
    mkdirSync(join(path, ".."), { recursive: true });
    writeFileSync(path, text);
    chmodSync(path, 0o600);
    return path;
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  /** Resources as docs/resources.md describes them. */
  apply(...resources: object[]): void {
    this.run(
      "resource",
      "apply",
      this.write("resources.json", JSON.stringify({ version: 1, resources })),
    );
  }

  #environment(): NodeJS.ProcessEnv {
    return {
      PATH: process.env.PATH,
      HOME: this.folder,
      TINTYPE_RUNTIME_DIR: join(this.folder, "run"),
    };
  }
}

/** A volume that lies on the manager's host. */
export const volume = (name: string, path: string) => ({
  name,
  kind: "volume",
  connector: "files",
  at: { path },
});

/** A machine that is off, with one disk. */
export const machine = (name: string, qmp: string, file: string) => ({
  name,
  kind: "vm",
  connector: "qemu",
  at: { qmp, disks: { vda: { file, format: "raw" } } },
});

function listening(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let told = "";
    const late = setTimeout(
      () => reject(new Error(`the manager does not listen:\n${told}`)),
      STARTS_MS,
    );
    const heard = (bytes: Buffer) => {
      told += bytes.toString();
      if (!told.includes("listens on")) return;
      clearTimeout(late);
      resolve(told);
    };
    child.stdout?.on("data", heard);
    child.stderr?.on("data", heard);
    child.once("exit", (code) => {
      clearTimeout(late);
      reject(new Error(`the manager ended with ${code}:\n${told}`));
    });
  });
}

export function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer();
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address ? address.port : 0));
    });
  });
}
