/** The command `zkeep`. */
import { enableCompileCache } from 'node:module';
import { homedir } from 'node:os';
import { join } from 'node:path';

// A third less time to start. In a folder of our own: what others may write to, root must not run.
enableCompileCache(
  process.getuid?.() === 0
    ? '/var/cache/zkeep'
    : join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'zkeep'),
);
const { runProgram } = await import('./commands/program.ts');
// Not left to the end of all sockets and timers: a child that hangs in the kernel never ends.
process.exit(await runProgram(process.argv.slice(2)));
