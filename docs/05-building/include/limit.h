/* SPDX-License-Identifier: GPL-2.0 */
/* What limit.c offers to the other object of its module. */
int hello_limit(void);
