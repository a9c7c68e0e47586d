/* SPDX-License-Identifier: GPL-2.0 */
/* What the guests have for the party. */
#ifndef _PARTY_H
#define _PARTY_H

int anna_comes(void);
int otto_comes(void);

#endif /* _PARTY_H */
