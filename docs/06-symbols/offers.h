/* SPDX-License-Identifier: GPL-2.0 */
/* What the module offers has for others, and what it has not. */
#ifndef _OFFERS_H
#define _OFFERS_H

int offers_any(void);
int offers_gpl(void);
int offers_named(void);
int offers_chosen(void);
int offers_global(void);

extern int offers_data;

#endif /* _OFFERS_H */
