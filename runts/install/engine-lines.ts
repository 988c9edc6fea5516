// SPDX-License-Identifier: Apache-2.0
// What the other engines want to be told, for their configuration files: these are TOML and YAML,
// often under the rule of some other tool, so they are printed and not changed.
import type { Registration } from './daemon-config.ts';

/** A basic string of TOML: JSON's, for what a path may hold here. */
const quote = (text: string): string => JSON.stringify(text);

export function engineLines(registration: Registration): string {
  const { name } = registration;
  const path = programOf(registration);
  return [
    ...scriptLines(registration),
    containerd('2', 'io.containerd.grpc.v1.cri', name, path),
    containerd('3', 'io.containerd.cri.v1.runtime', name, path),
    `# Kubernetes, for nodes with containerd or CRI-O (kubectl apply -f -)
apiVersion: node.k8s.io/v1
kind: RuntimeClass
metadata:
  name: ${name}
handler: ${name}`,
    `# CRI-O: /etc/crio/crio.conf.d/10-${name}.conf
[crio.runtime.runtimes.${name}]
runtime_path = ${quote(path)}
runtime_type = "oci"
allowed_annotations = ["dev.runts"]`,
    `# Podman: /etc/containers/containers.conf (podman --runtime ${name})
[engine.runtimes]
${name} = [${quote(path)}]`,
  ].join('\n\n');
}

/** These engines start a program without arguments of the user's: with options it is a script. */
function programOf({ path, args }: Registration): string {
  return args.length === 0 ? path : `${path}-with-options`;
}

function scriptLines(registration: Registration): string[] {
  const { path, args } = registration;
  if (args.length === 0) return [];
  const command = [path, ...args].map(shellWord).join(' ');
  return [
    `# ${programOf(registration)}, mode 755: the engines below pass no options on\n#!/bin/sh\nexec ${command} "$@"`,
  ];
}

function shellWord(text: string): string {
  return /^[\w./=:-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

function containerd(version: string, plugin: string, name: string, path: string): string {
  const table = `plugins.${quote(plugin)}.containerd.runtimes.${name}`;
  return `# containerd: /etc/containerd/config.toml with version = ${version}
[${table}]
runtime_type = "io.containerd.runc.v2"
pod_annotations = ["dev.runts.*"]
[${table}.options]
BinaryName = ${quote(path)}`;
}
