/** The way in: straight on where there is a session, by a code in the address, or by a token. */
import { getRoot, sendRoot } from "../core/api.js";
import { $ } from "../core/dom.js";
import { url } from "../core/page.js";
import { onward } from "./next.js";

const form = $("#login");
const problem = $("#problem");
const go = () => location.replace(onward(new URLSearchParams(location.search).get("next"), location.origin, url("/")));

function tell(error) {
  problem.textContent = error.status === 401 ? "This token or link is not good here. It may have been revoked, used, or have expired." : error.message;
  problem.hidden = false;
}

const withoutCode = () => history.replaceState(null, "", location.pathname + location.search);

/** A code that the server could not look at stays in the address: loading the page again tries it. */
async function byCode(code) {
  await sendRoot("POST", "/session/code", { code }).catch((error) => {
    if (error.status > 0 && error.status < 500) withoutCode();
    throw error;
  });
  withoutCode();
}

async function begin() {
  try {
    if (location.hash.length > 1) await byCode(location.hash.slice(1));
    if ((await getRoot("/session")).user !== null) return go();
  } catch (error) {
    tell(error);
  }
  form.dataset.state = "ready";
  $("#token").focus();
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    await sendRoot("POST", "/session", { token: $("#token").value.trim() });
    go();
  } catch (error) {
    tell(error);
    $("#token").select();
  }
});
begin();
