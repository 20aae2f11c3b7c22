// Bundle the one view three times: the anywidget module, the report's script, and the Lab extension's modules,
// which @jupyter/builder then makes a federated extension of.

import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const here = fileURLToPath(new URL('..', import.meta.url));
const common = {
  absWorkingDir: here,
  bundle: true,
  target: 'es2022',
  loader: { '.css': 'text' },
  legalComments: 'inline',
  logLevel: 'warning'
};

const { metafile } = await build({
  ...common,
  metafile: true,
  entryPoints: { widget: 'src/widget.ts' },
  outdir: '../sllmbo_magic/static',
  format: 'esm',
  minify: true
});
await build({
  ...common,
  entryPoints: { report: 'src/report.ts' },
  outdir: '../sllmbo_magic/static',
  format: 'iife',
  minify: true
});
await build({
  ...common,
  entryPoints: { index: 'src/index.ts', mime: 'src/mime.ts' },
  outdir: 'lib',
  format: 'esm',
  splitting: true,
  external: ['@jupyterlab/*', '@lumino/*', '@codemirror/*']
});

// the licenses of what is bundled, as they ask for
const packages = new Set(
  Object.keys(metafile.inputs).flatMap(path => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1] ?? [])
);
const notices = await Promise.all(
  [...packages].sort().map(async name => {
    const folder = join(here, 'node_modules', name);
    const { version, license } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'));
    const file = (await readdir(folder)).find(f => /^licen[cs]e/i.test(f));
    return `${name} ${version} (${license})\n\n${file ? await readFile(join(folder, file), 'utf8') : ''}`;
  })
);
await writeFile(
  join(here, '../sllmbo_magic/static/third-party-licenses.txt'),
  notices.join(`\n${'-'.repeat(80)}\n\n`)
);
