import { createHash } from "node:crypto";
import { connect } from "node:tls";

/**
 * The key of the server's certificate, as Chromium takes it on its command line. It is trusted like any
 * other then: from a server whose certificate is merely ignored browsers keep no file.
 * @param {string} address
 * @returns {Promise<string>}
 */
export function keyOf(address) {
  const { hostname, port } = new URL(address);
  return new Promise((done, failed) => {
    const socket = connect(
      {
        host: hostname,
        port: Number(port || 443),
        servername: hostname,
        rejectUnauthorized: false,
      },
      () => {
        const key = socket
          .getPeerX509Certificate()
          ?.publicKey.export({ type: "spki", format: "der" });
        socket.end();
        if (key) done(createHash("sha256").update(key).digest("base64"));
        else failed(new Error(`${address} shows no certificate`));
      },
    );
    socket.on("error", failed);
  });
}
