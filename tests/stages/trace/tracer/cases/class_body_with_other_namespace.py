# A namespace made by __prepare__ is shown as others; keys that are no str are left out.
class Names(dict):
    pass

class Meta(type):
    @classmethod
    def __prepare__(cls, name, bases):
        return Names()

    def __new__(cls, name, bases, names):
        return super().__new__(cls, name, bases, {k: v for k, v in names.items() if isinstance(k, str)})

def main():
    class A(metaclass=Meta):
        x = 1
        locals()[3] = 4
        y = 2
    return A.y
