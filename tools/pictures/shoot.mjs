// Builds the page, opens it in Chromium once for each picture, and writes the pictures.
//
//   node shoot.mjs < JSON    {"folder", "now", "timeZone", "pictures": [{"name", "dashboard", "chosen", "until"}]}
//
// A picture ends before the row `until`, where one is named. PROMETHEUS is the server to ask, CHROMIUM the browser.
import { json } from "node:stream/consumers";

import { chromium } from "playwright-core";
import sharp from "sharp";
import { build, preview } from "vite";

const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"];
const WIDTH = 1440;
const TALL = 6000; // more than any dashboard: what is out of sight is not drawn

const { folder, now, timeZone, pictures } = await json(process.stdin);
const root = import.meta.dirname;

async function opened(browser, address, { name, dashboard, chosen }) {
  const page = await browser.newPage({
    viewport: { width: WIDTH, height: TALL },
    timezoneId: timeZone,
    locale: "en-GB",
  });
  await page.clock.setFixedTime(now);
  await page.addInitScript((told) => (window.picture = told), { dashboard, chosen, now, timeZone });
  // Grafana serves its icons from a folder of its build.
  await page.route("**/build/img/**", (route) =>
    route.continue({ url: route.request().url().replace("/build/", "/") }),
  );
  page.on("pageerror", (error) => console.error(`${name}: ${error.stack}`));
  page.on("console", (line) => line.type() === "error" && console.error(`${name}: ${line.text()}`));
  await page.goto(address);
  await page.waitForFunction(() => document.title !== "drawing", null, { timeout: 60_000 });
  if ((await page.title()) !== "drawn") {
    throw new Error(`${name} was not drawn`);
  }
  return page;
}

async function shot(page, { name, until }) {
  const { height } = await page.locator("main").boundingBox();
  const end = until && (await page.locator(".row", { hasText: until }).boundingBox());
  const clip = { x: 0, y: 0, width: WIDTH, height: end ? end.y : height };
  await sharp(await page.screenshot({ clip }))
    .png({ palette: true, effort: 10 })
    .toFile(`${folder}/${name}.png`);
}

await build({ root, logLevel: "error" });
const server = await preview({ root, preview: { port: 0 } });
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: FLAGS });
try {
  for (const picture of pictures) {
    const page = await opened(browser, server.resolvedUrls.local[0], picture);
    await shot(page, picture);
    await page.close();
  }
} finally {
  await browser.close();
  await server.close();
}
