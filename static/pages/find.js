/** Leads to a run of which only the id is known. */
import { api, Empty, ErrorBox, hrefOf, html, Loading, useEffect, useState, visible } from "/kit.js";

/** Which answer has the ids of which kind. */
const LISTS = {
  session: ["/api/orchestrations", "sessions"],
  manager: ["/api/runs", "runs"],
  mini: ["/api/mini", "runs"],
};

export default function Find({ id }) {
  const [end, setEnd] = useState({});
  useEffect(() => {
    const find = async () => {
      for (const [kind, [path, field]] of Object.entries(LISTS)) {
        // Not a place of its own to come back to.
        if ((await api(path))[field].includes(id)) return location.replace(hrefOf({ kind, id }));
      }
      setEnd({ isMissing: true });
    };
    find().catch((error) => setEnd({ error }));
  }, [id]);
  if (end.error) {
    return html`
      <main id="main">
        <${ErrorBox} error=${end.error} />
      </main>
    `;
  }
  if (!end.isMissing) {
    return html`
      <main id="main">
        <${Loading} what="Looking for the run" />
      </main>
    `;
  }
  return html`
    <main id="main">
      <${Empty}>There is no run ${visible(id)} any more. <a href="#/">To all runs</a></${Empty}></main>
  `;
}
