import style from "./Progress.module.css";

/** How far something is; without a share nobody knows yet. */
export function Progress({ share, label }: { share: number | undefined; label: string }) {
  return (
    <progress
      className={style.progress}
      aria-label={label}
      max={1}
      value={share === undefined ? undefined : Math.min(Math.max(share, 0), 1)}
    />
  );
}
