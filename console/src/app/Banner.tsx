import { Notice } from "../parts/notice/Notice";
import { When } from "../parts/when/When";
import { useWords } from "../words";
import style from "./Banner.module.css";
import { useConnection } from "./live";

/** The connection was lost: what is shown is of then. */
export function Banner() {
  const { shell } = useWords();
  const connection = useConnection();
  return (
    <div className={style.banner} role="status">
      {connection.state === "lost" && (
        <Notice is="attention" title={shell.lost}>
          {shell.lostSince} <When at={connection.since} />. {shell.lostWords}
        </Notice>
      )}
    </div>
  );
}
