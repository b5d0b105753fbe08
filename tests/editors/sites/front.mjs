// What Astro reads in each of the texts on stdin.
import { pathToFileURL } from "node:url";
import { readFileSync } from "node:fs";

const [, , modules] = process.argv;
const helpers = `${modules}/@astrojs/internal-helpers/dist/frontmatter.js`;
const { parseFrontmatter } = await import(pathToFileURL(helpers).href);
const texts = JSON.parse(readFileSync(0, "utf8"));
console.log(JSON.stringify(texts.map((text) => {
  const { frontmatter, content } = parseFrontmatter(text);
  return [frontmatter, content];
})));
