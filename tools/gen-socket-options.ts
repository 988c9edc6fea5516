// SPDX-License-Identifier: Apache-2.0
// Writes docs/socket-options.md from the table of options (sentry/net/inet/option-table.ts); with
// --check, fails where the file differs.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type OptionRule, optionRules } from '../sentry/net/inet/option-table.ts';

const target = join(import.meta.dirname, '..', 'docs/socket-options.md');

const head = `# Socket options of the sandbox's own network

Generated from \`sentry/net/inet/option-table.ts\` by \`npm run socket-options\`: do not edit.

Options of the levels IPPROTO_IP, IPPROTO_IPV6, IPPROTO_TCP and IPPROTO_UDP that are numbers: what an untouched socket has, which values
are taken, and what the option does. Others answer as on Linux: TCP_CONGESTION (\`reno\`, \`cubic\`), TCP_INFO, TCP_SAVED_SYN, TCP_ULP (ENOENT),
the memberships of multicast groups, IP_MTU. With \`--network host\` the options are the host's.

| option | untouched | values | what it does |
| --- | --- | --- | --- |
`;

function values({ isFlag, least, most, hasDefault }: OptionRule): string {
  if (isFlag) return 'any: 0 or 1';
  if (most < least) return 'none';
  const lowest = least === -0x8000_0000 ? 'any' : String(least);
  const range =
    most === 0x7fff_ffff ? (lowest === 'any' ? 'any' : `from ${lowest}`) : `${lowest} to ${most}`;
  return hasDefault ? `${range}; -1` : range;
}

function row(rule: OptionRule): string {
  const who = { all: '', stream: '', datagram: ' (no streams)', raw: ' (raw)' }[rule.users];
  const note = rule.level === 6 || rule.level === 17 ? '' : who;
  const privilege = rule.isPrivileged ? '; needs a capability' : '';
  return `| ${rule.label}${note} | ${rule.initial} | ${values(rule)} | ${rule.effect}${privilege} |`;
}

const page = `${head}${optionRules.map(row).join('\n')}\n`;
if (process.argv.includes('--check')) {
  if (readFileSync(target, 'utf8') !== page) {
    console.error('docs/socket-options.md is stale: npm run socket-options');
    process.exit(1);
  }
} else writeFileSync(target, page);
