/** The version that the service names: the one in package.json. */
import description from '../package.json' with { type: 'json' };

export const VERSION: string = description.version;
