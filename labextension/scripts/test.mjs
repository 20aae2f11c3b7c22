// Bundle each test and run them with Node's own test runner.

import { spawnSync } from 'node:child_process';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const here = fileURLToPath(new URL('..', import.meta.url));
const names = (await readdir(join(here, 'test'))).filter(n => n.endsWith('.test.ts'));
const out = await mkdtemp(join(tmpdir(), 'sllmbo-test-'));
await build({
  absWorkingDir: here,
  entryPoints: names.map(n => `test/${n}`),
  outdir: out,
  outExtension: { '.js': '.mjs' },
  bundle: true,
  platform: 'node',
  format: 'esm',
  logLevel: 'warning'
});
const files = names.map(n => join(out, n.replace(/\.ts$/, '.mjs')));
const { status } = spawnSync(process.execPath, ['--test', ...files], { stdio: 'inherit' });
await rm(out, { recursive: true });
process.exit(status ?? 1);
