/* SPDX-License-Identifier: GPL-2.0 */
/* What the C files have for the Rust file. */
#ifndef _FLAGS_H
#define _FLAGS_H

int flags_first(void);
int flags_second(void);

#endif /* _FLAGS_H */
