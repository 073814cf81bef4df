// A product in a real browser, as two tenants; and the node's own page of the run that made it.
//
//   node tests/peers/browser.cjs MESH      # needs playwright-core and Debian's chromium
//
// Starts `mesh run` on the shipped helpdesk blueprint, waits for its product, and uses it as a person
// would. Ends with 0 when everything held.
const { spawn } = require("node:child_process");
const { mkdtempSync, rmSync } = require("node:fs");
const { tmpdir } = require("node:os");
const { join } = require("node:path");
const readline = require("node:readline");
const assert = require("node:assert/strict");
const { chromium } = require("playwright-core");

const mesh = process.argv[2];
const data = mkdtempSync(join(tmpdir(), "mesh-browser-"));
const flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"];

const say = (text) => console.log(`-- ${text}`);

async function product(run) {
  const lines = readline.createInterface({ input: run.stdout });
  let page;
  for await (const line of lines) {
    const said = JSON.parse(line);
    if (said.page) page = said.page;
    if (said.product) return { page, ...said.product };
  }
  throw new Error("mesh ended before there was a product");
}

// The demo log-ins come with the product: its repository holds them.
function logins(repository) {
  const { execFileSync } = require("node:child_process");
  return JSON.parse(execFileSync("git", ["--git-dir", repository, "show", "HEAD:demo.json"]).toString());
}

async function logIn(browser, url, login) {
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(`${url}/log-in`);
  await page.getByLabel("Email").fill(login.email);
  await page.getByLabel("Password").fill(login.password);
  await page.getByRole("button", { name: /log in/i }).click();
  await page.waitForURL((at) => !at.pathname.startsWith("/log-in"));
  return page;
}

async function main() {
  const run = spawn(mesh, ["run", "config/blueprints/helpdesk.yaml", "--data", data, "--output", "json"], { stdio: ["ignore", "pipe", "inherit"] });
  const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: flags });
  try {
    const made = await product(run);
    say(`the product answers at ${made.url}, ${made.tests.passed} tests passed`);

    say("the node's page of the run");
    const node = await browser.newPage();
    await node.goto(made.page);
    await node.getByText("Succeeded").first().waitFor();
    assert.equal(await node.locator(".steps li").count(), 8, "the page shows every step");
    await node.getByText("node", { exact: true }).first().waitFor();

    say("two tenants");
    const { accounts } = logins(made.repository);
    const [a, b] = accounts;
    const ours = await logIn(browser, made.url, a);
    const theirs = await logIn(browser, made.url, b);

    say("tenant A sees its sample rows and opens one");
    await ours.goto(`${made.url}/tickets`);
    const link = ours.locator("main table a").first();
    await link.waitFor();
    const href = await link.getAttribute("href");
    await link.click();
    await ours.getByRole("heading", { level: 1 }).waitFor();

    say("tenant B is refused tenant A's row");
    const answer = await theirs.goto(new URL(href, made.url).toString());
    assert.equal(answer.status(), 404, "another tenant's row is not found");

    say("the keyboard reaches the main content first");
    await ours.goto(made.url);
    await ours.keyboard.press("Tab");
    const focused = await ours.evaluate(() => document.activeElement?.textContent ?? "");
    assert.match(focused, /skip/i, `the first stop of Tab is \`${focused}\``);
  } finally {
    await browser.close();
    run.kill("SIGTERM");
    await new Promise((done) => run.once("exit", done));
    rmSync(data, { recursive: true, force: true });
  }
}

main().then(() => say("all held"), (error) => { console.error(error); process.exit(1); });
