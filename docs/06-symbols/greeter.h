/* SPDX-License-Identifier: GPL-2.0 */
/* What greeter has for others, and what it has not. */
#ifndef _GREETER_H
#define _GREETER_H

int greeter_any(void);
int greeter_gpl(void);
int greeter_named(void);
int greeter_chosen(void);
int greeter_global(void);

extern int greeter_data;

#endif /* _GREETER_H */
