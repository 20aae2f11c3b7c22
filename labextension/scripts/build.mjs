// Bundle the one view three times: the anywidget module, the report's script, and the Lab extension's modules,
// which @jupyter/builder then makes a federated extension of.
import { build } from 'esbuild';
import { fileURLToPath } from 'node:url';

const here = fileURLToPath(new URL('..', import.meta.url));
const common = {
  absWorkingDir: here,
  bundle: true,
  target: 'es2022',
  loader: { '.css': 'text' },
  legalComments: 'inline',
  logLevel: 'warning'
};

await build({
  ...common,
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
