// SPDX-License-Identifier: Apache-2.0
import { currentAccount, type MemoryAccount, setCurrentAccount } from './memory-account.ts';

/**
 * Calls `body` with new objects charged to `account`; to `otherwise` where whoever held that account
 * has ended, so that what comes for others is still charged to somebody.
 */
export function chargedTo<Value>(
  account: MemoryAccount,
  otherwise: MemoryAccount,
  body: () => Value,
): Value {
  const before = currentAccount();
  setCurrentAccount(account.isClosed ? otherwise : account);
  try {
    return body();
  } finally {
    setCurrentAccount(before);
  }
}
