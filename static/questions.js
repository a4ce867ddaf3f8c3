/** Questions that a session waits for, each with a form for its answer. */
import { Ago, api, html, SendForm, visible } from "/kit.js";

/** @param props.base of the session's endpoints, such as `/api/sessions/orch_1` */
export const OpenQuestions = ({ base, questions, onAnswered }) =>
  questions.filter(({ answer }) => answer === null).map(({ id, text, worker, task, asked_at }) =>
    html`
      <div key=${id} class="question">
        <p class="text">${visible(text)}</p>
        <p class="muted small">${visible([worker, task].filter(Boolean).join(" · "))} · <${Ago} time=${asked_at} /></p>
        <${SendForm}
          label="Your answer"
          button="Send the answer"
          hint="Ctrl Enter sends it"
          onSend=${async (answer) => {
            await api(`${base}/control/answer`, { method: "POST", body: { text: answer, question: id } });
            onAnswered?.();
          }}
        />
      </div>
    `
  );
