/* SPDX-License-Identifier: GPL-2.0 */
/* What greeter_named has for other modules. */
#ifndef _GREETER_NAMED_H
#define _GREETER_NAMED_H

int greeter_named_calls(void);

#endif /* _GREETER_NAMED_H */
