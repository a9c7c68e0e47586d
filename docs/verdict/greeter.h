/* SPDX-License-Identifier: GPL-2.0 */
/* What greeter has for other modules, one function of each class. */
#ifndef _GREETER_H
#define _GREETER_H

int greeter_any(int value);
int greeter_gpl(int value);
int greeter_named(int value);
int greeter_chosen(int value);

#endif /* _GREETER_H */
