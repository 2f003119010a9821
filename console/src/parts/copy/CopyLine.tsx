import { useState } from "react";
import { useWords } from "../../words";
import { Button } from "../button/Button";
import style from "./CopyLine.module.css";

const SHOWN_MS = 2000;

/** A command to be typed elsewhere. */
export function CopyLine({ text, label }: { text: string; label: string }) {
  const { common } = useWords();
  const [isCopied, setCopied] = useState(false);
  const copy = async () => {
    await navigator.clipboard.writeText(text);
    setCopied(true);
    setTimeout(() => setCopied(false), SHOWN_MS);
  };
  return (
    <div className={style.line}>
      <section className={style.text} aria-label={label} tabIndex={-1}>
        <pre>{text}</pre>
      </section>
      <Button onClick={copy}>{isCopied ? common.copied : common.copy}</Button>
    </div>
  );
}
