/**
 * The module parameters that are kept: those that change what is sent, received,
 * created or imported. What only tunes speed or memory is left out. OpenZFS
 * `zfs(4)` and `spl(4)`; one that a version does not have is not there to be read.
 */

/** By folder of `/sys/module`. */
export const PARAMETERS: Readonly<Record<string, readonly string[]>> = {
  spl: [
    // Who the host is to `multihost`; not zero: /etc/hostid does not count.
    'spl_hostid',
    'spl_hostid_path',
  ],
  zfs: [
    // What a stream holds: bad blocks replaced by a pattern, holes, spill blocks that did not change.
    'zfs_send_corrupt_data',
    'send_holes_without_birth_time',
    'ignore_hole_birth',
    'zfs_send_unmodified_spill_blocks',
    'zfs_override_estimate_recordsize',
    'zfs_allow_redacted_dataset_mount',
    // What is received all the same: raw streams without matching IV sets, healing of damaged blocks.
    'zfs_disable_ivset_guid_check',
    'zfs_recv_best_effort_corrective',
    'zfs_recv_write_batch_size',
    // How large blocks may be made, and how new pools and datasets are laid out.
    'zfs_max_recordsize',
    'zfs_default_bs',
    'zfs_default_ibs',
    'zfs_vdev_min_auto_ashift',
    'zfs_vdev_max_auto_ashift',
    'zfs_embedded_slog_min_ms',
    // When a pool is imported, by whom, and what is overlooked then.
    'zfs_autoimport_disable',
    'spa_config_path',
    'zfs_multihost_interval',
    'zfs_multihost_import_intervals',
    'zfs_multihost_fail_intervals',
    'zfs_max_missing_tvds',
    'zfs_recover',
    'zfs_free_leak_on_eio',
    'spa_load_verify_data',
    'spa_load_verify_metadata',
    'zil_replay_disable',
    // Whether what was written is durable.
    'zfs_nocacheflush',
    'zil_nocacheflush',
    'zfs_txg_timeout',
    // Whether volumes appear as devices.
    'zvol_inhibit_dev',
    'zvol_volmode',
  ],
};

/** The files of all of them, on Linux. */
export function parameterFiles(): string[] {
  return Object.entries(PARAMETERS).flatMap(([module, names]) =>
    names.map((name) => `/sys/module/${module}/parameters/${name}`),
  );
}

/** What FreeBSD calls the same things; `sysctl -i` passes over those that a version does not have. */
export const SYSCTLS: readonly string[] = [
  'kern.hostid',
  'vfs.zfs.send',
  'vfs.zfs.recv',
  'vfs.zfs.max_recordsize',
  'vfs.zfs.vdev.min_auto_ashift',
  'vfs.zfs.vdev.max_auto_ashift',
  'vfs.zfs.multihost',
  'vfs.zfs.recover',
  'vfs.zfs.txg.timeout',
];
