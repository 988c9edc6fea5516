// SPDX-License-Identifier: Apache-2.0
// include/uapi/linux/xattr.h, limits.h; xattr(7).
export const XATTR_CREATE = 1;
export const XATTR_REPLACE = 2;
export const XATTR_NAME_MAX = 255;
export const XATTR_SIZE_MAX = 65536;
export const XATTR_LIST_MAX = 65536;
export const XATTR_USER_PREFIX = 'user.';
export const XATTR_TRUSTED_PREFIX = 'trusted.';
export const XATTR_SECURITY_PREFIX = 'security.';
export const XATTR_SYSTEM_PREFIX = 'system.';
export const XATTR_NAME_CAPS = 'security.capability';
