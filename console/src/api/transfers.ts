import { queryOptions } from "@tanstack/react-query";
import { api, ask } from "./client";
import { every } from "./every";
import type { Upload } from "./types";

/** Bundles and uploads change as their runs do, so they are asked for again with these. */
export const secrets = (id: string, path?: string) =>
  queryOptions({
    queryKey: ["content", "secrets", id, path],
    queryFn: () =>
      ask(api.GET("/api/v1/snapshots/{id}/secrets", { params: { path: { id }, query: { path } } })),
    staleTime: Number.POSITIVE_INFINITY,
  });

/** Those that are being made, or wait to be saved. */
export const bundles = queryOptions({
  queryKey: ["run", "bundles"],
  queryFn: () => every((query) => ask(api.GET("/api/v1/bundles", { params: { query } }))),
});

export const bundle = (id: string) =>
  queryOptions({
    queryKey: ["run", "bundle", id],
    queryFn: () => ask(api.GET("/api/v1/bundles/{id}", { params: { path: { id } } })),
  });

export const bundleAddress = (id: string): string => `/api/v1/bundles/${id}/content`;

/** Those that come, or wait to be made a snapshot. */
export const uploads = queryOptions({
  queryKey: ["run", "uploads"],
  queryFn: () => every((query) => ask(api.GET("/api/v1/uploads", { params: { query } }))),
});

export const upload = (id: string) =>
  queryOptions({
    queryKey: ["run", "upload", id],
    queryFn: () => ask(api.GET("/api/v1/uploads/{id}", { params: { path: { id } } })),
  });

/** One piece of a file, as it is: the types of the API know bytes only as numbers. */
export const putPiece = (id: string, offset: number, piece: Blob): Promise<Upload> =>
  ask(
    api.PUT("/api/v1/uploads/{id}/content", {
      params: { path: { id }, query: { offset } },
      headers: { "Content-Type": "application/octet-stream" },
      body: piece as unknown as number[],
      bodySerializer: (body) => body as unknown as Blob,
    }),
  );
