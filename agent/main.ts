/** The command `zkeep`. */
import { enableCompileCache } from 'node:module';

enableCompileCache();
const { runProgram } = await import('./commands/program.ts');
// Not left to the end of all sockets and timers: a child that hangs in the kernel never ends.
process.exit(await runProgram(process.argv.slice(2)));
