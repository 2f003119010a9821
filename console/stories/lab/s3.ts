import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort } from "./manager";

const PROGRAM = process.env.TINTYPE_WEED ?? "weed";
const STARTS_MS = 60_000;
const LOOKS_MS = 200;
const SOCKETS = "/tmp";
const NAMES = [
  "s3.port",
  "s3.port.grpc",
  "master.port",
  "master.port.grpc",
  "volume.port",
  "volume.port.grpc",
  "filer.port",
  "filer.port.grpc",
];
export const KEY = { id: "TINTYPESTORIES", secret: "what only stories know" };

/** A bucket of a real server: SeaweedFS, as the engine's tests start it. */
export class Bucket {
  readonly #folder: string;
  #ports: number[] = [];
  #child: ChildProcess | undefined;

  constructor(folder: string) {
    this.#folder = folder;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${this.#ports[0]}`;
  }

  async start(): Promise<void> {
    mkdirSync(join(this.#folder, "data"), { recursive: true });
    const actions = ["Admin", "Read", "Write", "List", "Tagging"];
    const credentials = [{ accessKey: KEY.id, secretKey: KEY.secret }];
    const identities = [{ name: "stories", credentials, actions }];
    writeFileSync(join(this.#folder, "s3.json"), JSON.stringify({ identities }));
    this.#ports = await freePorts(NAMES.length);
    this.#child = spawn(PROGRAM, this.#arguments(), { stdio: "ignore" });
    await this.#answers();
  }

  async end(): Promise<void> {
    const child = this.#child;
    if (child && child.exitCode === null) {
      const ended = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGKILL");
      await ended;
    }
    // Sockets whose places cannot be chosen.
    const own = new RegExp(`^seaweedfs-.*-(${this.#ports.join("|")})\\.sock$`);
    for (const name of readdirSync(SOCKETS)) {
      if (own.test(name)) rmSync(join(SOCKETS, name), { force: true });
    }
  }

  #arguments(): string[] {
    return [
      `-logdir=${this.#folder}`,
      "server",
      `-dir=${join(this.#folder, "data")}`,
      ...NAMES.map((name, at) => `-${name}=${this.#ports[at]}`),
      `-s3.config=${join(this.#folder, "s3.json")}`,
      "-ip=127.0.0.1",
      "-ip.bind=127.0.0.1",
      "-filer",
      "-s3",
      "-master.telemetry=false",
      "-master.volumeSizeLimitMB=64",
      "-volume.max=100",
      "-s3.port.iceberg=0",
      "-s3.port.lance=0",
    ];
  }

  /** It listens long before it can serve; without a signature a ready one says 403. */
  async #answers(): Promise<void> {
    const late = Date.now() + STARTS_MS;
    const ask = () => fetch(this.endpoint).then(({ status }) => status === 403);
    while (!(await ask().catch(() => false))) {
      if (Date.now() > late) throw new Error(`${PROGRAM} does not answer at ${this.endpoint}`);
      await new Promise((later) => setTimeout(later, LOOKS_MS));
    }
  }
}

async function freePorts(count: number): Promise<number[]> {
  const ports = new Set<number>();
  while (ports.size < count) ports.add(await freePort());
  return [...ports];
}
