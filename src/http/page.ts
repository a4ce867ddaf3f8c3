/** The dashboard: its pages and what they load, as parts of the program. */
import preact from "htm/preact/standalone" with { type: "text" };
import uplotCss from "uplot/dist/uPlot.min.css" with { type: "text" };
import uplot from "uplot/dist/uPlot.esm.js" with { type: "text" };
import appCss from "../../static/app.css" with { type: "text" };
import app from "../../static/app.js" with { type: "text" };
import charts from "../../static/charts.js" with { type: "text" };
import index from "../../static/index.html" with { type: "text" };
import kit from "../../static/kit.js" with { type: "text" };
import log from "../../static/log.js" with { type: "text" };
import costs from "../../static/pages/costs.js" with { type: "text" };
import find from "../../static/pages/find.js" with { type: "text" };
import home from "../../static/pages/home.js" with { type: "text" };
import mini from "../../static/pages/mini.js" with { type: "text" };
import runCss from "../../static/pages/run.css" with { type: "text" };
import run from "../../static/pages/run.js" with { type: "text" };
import schedule from "../../static/pages/schedule.js" with { type: "text" };
import session from "../../static/pages/session.js" with { type: "text" };
import start from "../../static/pages/start.js" with { type: "text" };
import questions from "../../static/questions.js" with { type: "text" };
import sessionChanges from "../../static/session/changes.js" with { type: "text" };
import sessionJudgements from "../../static/session/judgements.js" with { type: "text" };
import sessionLinks from "../../static/session/links.js" with { type: "text" };
import sessionOverview from "../../static/session/overview.js" with { type: "text" };
import sessionPlan from "../../static/session/plan.js" with { type: "text" };
import sessionSpending from "../../static/session/spending.js" with { type: "text" };
import theme from "../../static/theme.js" with { type: "text" };

const html = (content: string) => ({ type: "text/html; charset=utf-8", content });
const css = (content: string) => ({ type: "text/css; charset=utf-8", content });
const js = (content: string) => ({ type: "text/javascript; charset=utf-8", content });

/** By path; each with its media type. */
export const page: ReadonlyMap<string, { readonly type: string; readonly content: string }> = new Map([
  ["/", html(index)],
  ["/app.css", css(appCss)],
  ["/app.js", js(app)],
  ["/charts.js", js(charts)],
  ["/kit.js", js(kit)],
  ["/lib/preact.js", js(preact)],
  ["/lib/uplot.css", css(uplotCss)],
  ["/lib/uplot.js", js(uplot)],
  ["/log.js", js(log)],
  ["/pages/costs.js", js(costs)],
  ["/pages/find.js", js(find)],
  ["/pages/home.js", js(home)],
  ["/pages/mini.js", js(mini)],
  ["/pages/run.css", css(runCss)],
  ["/pages/run.js", js(run)],
  ["/pages/schedule.js", js(schedule)],
  ["/pages/session.js", js(session)],
  ["/pages/start.js", js(start)],
  ["/questions.js", js(questions)],
  ["/session/changes.js", js(sessionChanges)],
  ["/session/judgements.js", js(sessionJudgements)],
  ["/session/links.js", js(sessionLinks)],
  ["/session/overview.js", js(sessionOverview)],
  ["/session/plan.js", js(sessionPlan)],
  ["/session/spending.js", js(sessionSpending)],
  ["/theme.js", js(theme)],
]);
