// Real work on real input: every Markdown file of a folder, rendered by an unmodified npm package into one HTML page.
//
//   gyre run report.js FOLDER OUTPUT.html
import { marked } from 'marked';
import { readDir, readTextFile, writeFile } from 'gyre:fs';

const skipped = new Set(['build', 'node_modules']);

/** All Markdown files below a folder, in order of their names. */
async function* markdownFiles(folder) {
  for (const entry of await readDir(folder)) {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory && !entry.name.startsWith('.') && !skipped.has(entry.name)) yield* markdownFiles(path);
    else if (entry.isFile && entry.name.endsWith('.md')) yield path;
  }
}

const escape = (text) => text.replace(/[&<>"]/g, (c) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[c]);

async function render(path, root) {
  const text = await readTextFile(path);
  const started = performance.now();
  const html = await marked.parse(text, { async: true });
  return {
    document: path.slice(root.length + 1),
    words: text.split(/\s+/).length,
    headings: (text.match(/^#+ /gm) ?? []).length,
    'code blocks': Math.floor((text.match(/^```/gm) ?? []).length / 2),
    milliseconds: Number((performance.now() - started).toFixed(1)),
    html,
  };
}

const page = (documents) => `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Documents</title><style>
body { font: 16px/1.5 system-ui, sans-serif; margin: 0; display: grid; grid-template-columns: 18rem 1fr; color: #222 }
nav { background: #f3f4f6; padding: 1.5rem; position: sticky; top: 0; height: 100vh; box-sizing: border-box; overflow: auto }
nav a { display: block; color: #1d4ed8; text-decoration: none; padding: .15rem 0 }
main { max-width: 52rem; padding: 1rem 3rem 4rem; min-width: 0 }
article { border-bottom: 1px solid #ddd; padding-bottom: 2rem }
pre { background: #f6f8fa; padding: 1rem; overflow: auto; font-size: 14px } code { font-family: ui-monospace, monospace }
table { border-collapse: collapse } td, th { border: 1px solid #ddd; padding: .3rem .6rem; text-align: left }
</style></head><body><nav><strong>${documents.length} documents</strong>
${documents.map((d, i) => `<a href="#d${i}">${escape(d.document)}</a>`).join('\n')}</nav><main>
${documents.map((d, i) => `<article id="d${i}">${d.html}</article>`).join('\n')}
</main></body></html>
`;

const [folder, output] = process.argv.slice(2);
if (output === undefined) {
  console.error('usage: gyre run report.js FOLDER OUTPUT.html');
  process.exit(2);
}

const pending = [];
for await (const path of markdownFiles(folder)) pending.push(render(path, folder));
const documents = await Promise.all(pending);
await writeFile(output, page(documents));

console.table(documents.map(({ html, ...row }) => row));
console.log(`Written: ${output}`);
