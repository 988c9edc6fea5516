// SPDX-License-Identifier: Apache-2.0
// The catalogue of what can go wrong on the command line: a code for each family of failures, which
// stays the same from version to version. Messages stand where they are thrown, for many of them
// must be runc's to the letter; tools/gen-errors.ts makes docs/errors.md out of both, and its test
// holds code and catalogue together.

interface Family {
  /** The event, as a sentence. */
  readonly about: string;
  /** The remedy that the user has, as a sentence. */
  readonly remedy: string;
}

export const failures = {
  // The command line itself.
  RUNTS_E_USAGE: {
    about: 'A command, an argument or an option is missing, unknown or too many.',
    remedy: 'See `runts help COMMAND`.',
  },
  RUNTS_E_NOT_SUPPORTED: {
    about: 'runts does not have this feature.',
    remedy: 'Leave the option or the command out. docs/oci.md and `runts help` tell what there is.',
  },
  RUNTS_E_OPTION_VALUE: {
    about: 'The value of an option is not of the form that the option wants.',
    remedy: 'Correct the value: the message names the option, `runts help COMMAND` the form.',
  },
  RUNTS_E_OPTION_FILE: {
    about: 'A file or directory that an option names cannot be read, written or entered.',
    remedy: "Check that the path exists and that runts' user may use it.",
  },
  RUNTS_E_LOG_FILE: {
    about: 'A log cannot be opened or written.',
    remedy: "Check the directory's rights and the space on its file system.",
  },
  RUNTS_E_DESCRIPTOR: {
    about: 'A descriptor that the caller said it passes is not open.',
    remedy: 'Open the descriptors that the option counts before runts is started.',
  },
  RUNTS_E_SIGNAL: {
    about: 'There is no signal of this name or number.',
    remedy: 'Name one of `kill -l`, or a number from 0 to 64.',
  },
  RUNTS_E_TERMINAL: {
    about:
      'The process needs a terminal and there is none, or the console socket does not fit the other options.',
    remedy:
      'With `process.terminal` and a detached container pass `--console-socket`; without either do not. In the foreground start runts on a terminal.',
  },
  RUNTS_E_PUBLISH: {
    about: 'A port of the host cannot be published: it is taken, or not for this user.',
    remedy: 'Name another port or address. Ports below 1024 are for root.',
  },
  // runts install.
  RUNTS_E_INSTALL_EXECUTABLE: {
    about: 'The executable that is to be registered cannot be run by everybody.',
    remedy:
      "Give `--path` an executable of mode 755 in directories that all may enter: sandboxes run as 'nobody'.",
  },
  RUNTS_E_INSTALL_CONFLICT: {
    about: "Docker's configuration has something else under this name.",
    remedy: 'Choose another `--name`, or change the named entry by hand.',
  },
  RUNTS_E_INSTALL_CONFIG: {
    about: "Docker's configuration cannot be read, understood or written.",
    remedy: 'Repair the named file (`--docker-config`), or start runts as root.',
  },
  // Which container, and in which state.
  RUNTS_E_CONTAINER_ID: {
    about: 'This cannot be the id of a container.',
    remedy: 'Use letters, digits and `_ + - .`, 1024 characters at most.',
  },
  RUNTS_E_CONTAINER_EXISTS: {
    about: 'There is a container of this id already.',
    remedy: 'Choose another id, or delete that container first.',
  },
  RUNTS_E_CONTAINER_UNKNOWN: {
    about: 'There is no container of this id.',
    remedy: 'See `runts list`; with `--root` give the same directory as at `create`.',
  },
  RUNTS_E_CONTAINER_NOT_RUNNING: {
    about: 'The container has no process that the command could act on.',
    remedy: 'Start the container first; `runts state ID` tells its state.',
  },
  RUNTS_E_CONTAINER_STATE: {
    about: 'The command does not fit the state that the container is in.',
    remedy: '`runts state ID` tells the state; stop, start or resume the container first.',
  },
  RUNTS_E_CONTAINER_ENDED: {
    about: "The container's process ended while the command was on its way.",
    remedy: 'Nothing needs to be done: engines take it for "already stopped".',
  },
  RUNTS_E_STATE_DIRECTORY: {
    about: 'The directory where runts keeps what it knows of containers cannot be used.',
    remedy: 'Check rights and space of `--root` (default: /run/runts, or below XDG_RUNTIME_DIR).',
  },
  RUNTS_E_STATE_RECORD: {
    about: 'What was remembered of a container is damaged.',
    remedy: '`runts delete --force ID` removes what is left of the container.',
  },
  RUNTS_E_STATE_VERSION: {
    about: 'The container was made by another version of runts.',
    remedy: 'Use that version for the container, or stop it and remove its directory.',
  },
  // The bundle and config.json.
  RUNTS_E_BUNDLE: {
    about: 'The bundle has no config.json that can be read.',
    remedy:
      'Give the directory that holds config.json with `--bundle`; `runts spec` writes an example.',
  },
  RUNTS_E_SPEC_FILE: {
    about: '`runts spec` cannot write config.json.',
    remedy: 'Move an existing config.json away, or choose another `--bundle`.',
  },
  RUNTS_E_CONFIG_JSON: {
    about: 'A document is not JSON.',
    remedy: 'Repair the document at the line and column that the message names.',
  },
  RUNTS_E_CONFIG_INVALID: {
    about: 'A document is JSON, but not what the OCI runtime specification (or runts) allows.',
    remedy: 'Correct the property that the message names.',
  },
  RUNTS_E_CONFIG_PROCESS: {
    about: "The environment, capabilities or limits of config.json's process cannot be had.",
    remedy: 'Correct the property that the message names.',
  },
  RUNTS_E_CONFIG_ROOTFS: {
    about: "The container's root directory cannot be used.",
    remedy: "Check that `root.path` is a directory and that runts' user may enter it.",
  },
  RUNTS_E_CONFIG_MOUNT: {
    about: 'A mount, masked path or read-only path of config.json makes no sense.',
    remedy: 'Correct the entry that the message names.',
  },
  RUNTS_E_MOUNT_SOURCE: {
    about: 'The source of a bind mount cannot be used.',
    remedy: "Check that the path exists on the host and that runts' user may reach it.",
  },
  RUNTS_E_MOUNT_OPTION: {
    about: 'The file system does not know this mount option, or not this value of it.',
    remedy: 'Take the option out or correct it; docs/oci.md lists those that are known.',
  },
  RUNTS_E_MOUNT_COUNT: {
    about: 'The container has more bind mounts than one Gofer serves.',
    remedy: 'Mount a directory that holds several of them.',
  },
  RUNTS_E_ID_MAPPING: {
    about: 'The ids of a mount cannot be mapped as asked.',
    remedy: 'Give both uidMappings and gidMappings, and only to bind mounts.',
  },
  RUNTS_E_CONFIG_DEVICE: {
    about: "A device of `linux.devices` does not exist in the sandbox's kernel.",
    remedy: 'Take the device out: devices of the host cannot be passed to a guest.',
  },
  RUNTS_E_CONFIG_SYSCTL: {
    about: "The sandbox's kernel has no such setting, or the setting no such value.",
    remedy: 'Take the setting out of `linux.sysctl` or correct its value.',
  },
  RUNTS_E_CONFIG_TIME: {
    about: 'The offset of a clock leads beyond what the clock can show.',
    remedy: 'Correct `linux.timeOffsets`.',
  },
  RUNTS_E_CONFIG_NAMESPACE: {
    about: 'A namespace to be shared belongs to no container of the same pod.',
    remedy: 'Share namespaces within a pod only.',
  },
  RUNTS_E_ANNOTATION: {
    about: 'An annotation for runts, or of an engine about pods, is unknown or has no such value.',
    remedy: 'Correct the annotation: docs/oci.md lists them.',
  },
  RUNTS_E_POD_SANDBOX: {
    about: "The pod's sandbox is not running, so no container can be added to it.",
    remedy: 'Let the engine make the pod anew.',
  },
  // Limits and cgroups.
  RUNTS_E_MEMORY_TOO_SMALL: {
    about: "The memory limit leaves no room for the sandbox's own processes.",
    remedy: 'Raise the limit by what the message names.',
  },
  RUNTS_E_MEMORY_FIXED: {
    about: 'The sandbox was started in a mode for small memory that cannot be left.',
    remedy: 'Make the container anew with the larger limit.',
  },
  RUNTS_E_CGROUP_NONE: {
    about: 'The container has no cgroup (of the kind that the command needs).',
    remedy: 'Start runts as root, or as a user with a delegated cgroup (`--systemd-cgroup`).',
  },
  RUNTS_E_CGROUP_PATH: {
    about: '`linux.cgroupsPath` is no place for a container.',
    remedy: 'Give a path of its own, or "slice:prefix:name" with `--systemd-cgroup`.',
  },
  RUNTS_E_CGROUP_IN_USE: {
    about: 'The cgroup holds processes already, or is frozen.',
    remedy: 'End what runs there, or give another `linux.cgroupsPath`.',
  },
  RUNTS_E_CGROUP_CONTROLLER: {
    about: 'A limit needs a controller that the cgroup does not have.',
    remedy:
      'Have the controller enabled in the parent cgroup (`cgroup.subtree_control`), or take the limit out.',
  },
  RUNTS_E_CGROUP_FILE: {
    about: 'The kernel refused an operation on a cgroup.',
    remedy:
      'The message ends with the reason of the kernel: mostly rights, or a value out of range.',
  },
  RUNTS_E_CGROUP_LIMIT: {
    about: 'A limit contradicts another one, the present usage, or what the kernel can set.',
    remedy: 'Correct the limit that the message names.',
  },
  RUNTS_E_CGROUP_FREEZE: {
    about: 'The processes of the container could not be stopped or continued.',
    remedy: 'Try again; a process in an uninterruptible wait of the host delays the freezer.',
  },
  RUNTS_E_SYSTEMD_ABSENT: {
    about: '`--systemd-cgroup` is given, and systemd does not run here.',
    remedy: 'Leave the option out (cgroupfs driver).',
  },
  RUNTS_E_SYSTEMD_UNIT: {
    about: "systemd did not make, change or end the container's unit.",
    remedy: '`journalctl -u UNIT` and `systemctl status UNIT` tell why.',
  },
  // Starting processes.
  RUNTS_E_START: {
    about: 'A process of the container, or the sandbox around it, could not be started.',
    remedy:
      'The message tells the reason: often a program, user or directory that is not in the image.',
  },
  RUNTS_E_EXEC: {
    about: 'A further process could not be started in the container.',
    remedy: 'The message tells the reason, as for RUNTS_E_START.',
  },
  RUNTS_E_HOOK: {
    about: 'A hook of config.json failed, was not found, or took longer than its timeout.',
    remedy: 'The message has the last words of the hook.',
  },
  RUNTS_E_LAUNCHER: {
    about: "runts' own launcher could not be started.",
    remedy:
      'Check the installation (`npm run build`), and that its directory is not mounted noexec.',
  },
  RUNTS_E_INSTALLATION: {
    about: 'A part is missing from the single file `runts`.',
    remedy: 'Build it anew (`npm run build`).',
  },
  RUNTS_E_HOST_RESOURCES: {
    about: 'The host has no memory or descriptors left for runts.',
    remedy: "Raise `ulimit -n`, or free memory; check the caller's own cgroup.",
  },
  RUNTS_E_HOST_CALL: {
    about: 'A call to the host kernel failed.',
    remedy: 'The message ends with the error. Please report it where it makes no sense.',
  },
  // Tools.
  RUNTS_E_PS: {
    about: 'ps(1) of the host failed, or prints no column PID.',
    remedy: 'Pass options of ps that print it (`runts ps ID -ef`), or use `--format json`.',
  },
  RUNTS_E_SENTRY: {
    about: 'The Sentry of a container does not answer, or refuses what it was asked.',
    remedy: 'See that the container runs and is not paused; the message has the reason.',
  },
  RUNTS_E_TIMELINE: {
    about: '`runts debug boot-timeline` could not start its sandbox, or read its log.',
    remedy: 'Try `runts do true` by itself.',
  },
  RUNTS_E_UNEXPECTED: {
    about: 'Something that nobody foresaw: an exception of Node, or a bug of runts.',
    remedy: '`RUNTS_TRACE=1` shows where it came from. Please report it.',
  },
} as const satisfies Record<string, Family>;

export type FailureCode = keyof typeof failures;
