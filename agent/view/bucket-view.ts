/** What is kept, as the bucket alone tells it: no service, an index in memory made from all manifests. */
import type { DatasetsQuery } from '../../catalog/protocol/pages.ts';
