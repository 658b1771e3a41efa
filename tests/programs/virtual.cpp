// C++: virtual calls through single and multiple inheritance, templates, exceptions through frames.
#include "cxx_runtime.h"

#ifndef SHAPES
#define SHAPES 48
#endif
#ifndef TURNS
#define TURNS 12
#endif
#ifndef THROWS
#define THROWS 8
#endif

namespace {

// Counts itself: nothing may be left at the end, whatever was thrown.
unsigned alive;
struct Counted {
    Counted() { alive++; }
    Counted(const Counted &) { alive++; }
    ~Counted() { alive--; }
};

template <typename T> class Vector {
public:
    ~Vector()
    {
        for (size_t i = 0; i < size_; i++)
            items_[i].~T();
        operator delete(items_);
    }
    Vector() = default;
    Vector(const Vector &) = delete;
    Vector &operator=(const Vector &) = delete;

    void push(T item)
    {
        if (size_ == room_)
            grow();
        new (&items_[size_++]) T(static_cast<T &&>(item));
    }
    size_t size() const { return size_; }
    T &operator[](size_t at) { return items_[at]; }
    T *begin() { return items_; }
    T *end() { return items_ + size_; }

private:
    void grow()
    {
        room_ = room_ ? 2 * room_ : 4;
        T *items = static_cast<T *>(operator new(room_ * sizeof(T)));
        for (size_t i = 0; i < size_; i++) {
            new (&items[i]) T(static_cast<T &&>(items_[i]));
            items_[i].~T();
        }
        operator delete(items_);
        items_ = items;
    }
    T *items_ = nullptr;
    size_t size_ = 0, room_ = 0;
};

template <typename T> class Owner {
public:
    explicit Owner(T *thing) : thing_(thing) {}
    Owner(Owner &&other) : thing_(other.thing_) { other.thing_ = nullptr; }
    ~Owner() { delete thing_; }
    T *operator->() const { return thing_; }
    T &operator*() const { return *thing_; }

private:
    T *thing_;
};

template <typename T, typename Less> void sort(T *begin, T *end, Less less)
{
    for (T *i = begin; i < end; i++)
        for (T *j = i; j > begin && less(*j, j[-1]); j--) {
            T t = *j;
            *j = j[-1];
            j[-1] = t;
        }
}

template <int N> struct Fibonacci {
    static uint32_t value(uint32_t salt) { return Fibonacci<N - 1>::value(salt) + Fibonacci<N - 2>::value(salt); }
};
template <> struct Fibonacci<1> {
    static uint32_t value(uint32_t salt) { return salt; }
};
template <> struct Fibonacci<0> {
    static uint32_t value(uint32_t) { return 0; }
};

// Shapes, visited by double dispatch.
struct Square;
struct Rectangle;
struct Stack;
struct Visitor {
    virtual void visit(const Square &) = 0;
    virtual void visit(const Rectangle &) = 0;
    virtual void visit(const Stack &) = 0;
};

struct Shape : Counted {
    virtual ~Shape() {}
    virtual uint32_t area() const = 0;
    virtual void scale(uint32_t by) = 0;
    virtual void accept(Visitor &visitor) const = 0;
    virtual bool holds(const Shape &) const { return false; }
};

// A second base: calls through it go by way of thunks that adjust `this`.
struct Named {
    virtual ~Named() {}
    virtual char initial() const = 0;
};

struct Square : Shape {
    explicit Square(uint32_t side) : side(side) {}
    uint32_t area() const override { return side * side; }
    void scale(uint32_t by) override { side *= by; }
    void accept(Visitor &visitor) const override { visitor.visit(*this); }
    uint32_t side;
};

struct Rectangle : Shape, Named {
    Rectangle(uint32_t a, uint32_t b) : a(a), b(b) {}
    uint32_t area() const override { return a * b; }
    void scale(uint32_t by) override { a *= by; }
    void accept(Visitor &visitor) const override { visitor.visit(*this); }
    char initial() const override { return char('a' + (a + b) % 26); }
    uint32_t a, b;
};

struct Stack final : Shape, Named {
    Stack(uint32_t side) : lower(side), upper(side, 2) {}
    uint32_t area() const override { return lower.area() + upper.area(); }
    void scale(uint32_t by) override
    {
        lower.scale(by);
        upper.scale(by);
    }
    void accept(Visitor &visitor) const override
    {
        visitor.visit(*this);
        lower.accept(visitor);
        upper.accept(visitor);
    }
    bool holds(const Shape &shape) const override { return &shape == &lower || &shape == &upper; }
    char initial() const override { return upper.initial(); }
    Square lower;
    Rectangle upper;
};

struct Census : Visitor {
    void visit(const Square &square) override { squares += 1, sides += square.side; }
    void visit(const Rectangle &rectangle) override { rectangles += 1, sides += rectangle.a; }
    void visit(const Stack &) override { stacks += 1; }
    uint32_t squares = 0, rectangles = 0, stacks = 0, sides = 0;
};

void shapes()
{
    Vector<Owner<Shape>> all;
    for (uint32_t i = 0; i < SHAPES; i++) {
        if (i % 3 == 0)
            all.push(Owner<Shape>(new Square(i)));
        else if (i % 3 == 1)
            all.push(Owner<Shape>(new Rectangle(i, 3)));
        else
            all.push(Owner<Shape>(new Stack(i)));
    }
    uint32_t expected = 0, area = 0, named = 0, initials = 0;
    for (uint32_t i = 0; i < SHAPES; i++)
        expected += i % 3 == 0 ? i * i : i % 3 == 1 ? 3 * i : i * i + 2 * i;
    for (auto &shape : all)
        area += shape->area();
    CHECK(area == expected);

    Census census;
    for (uint32_t turn = 0; turn < TURNS; turn++)
        for (auto &shape : all)
            shape->accept(census);
    CHECK(census.stacks == TURNS * (SHAPES / 3));
    CHECK(census.squares == 2 * census.stacks && census.rectangles == 2 * census.stacks);
    CHECK(census.sides == TURNS * (SHAPES * (SHAPES - 1) / 2 + (SHAPES / 3) * (SHAPES + 1) / 2));

    for (auto &shape : all)
        if (auto name = dynamic_cast<Named *>(&*shape)) {
            named++;
            initials += uint32_t(name->initial());
            CHECK(dynamic_cast<Shape *>(name) == &*shape);
        }
    CHECK(named == 2 * (SHAPES / 3) && initials >= named * 'a');

    Vector<Shape *> order;
    for (auto &shape : all)
        order.push(&*shape);
    sort(order.begin(), order.end(), [](Shape *a, Shape *b) { return a->area() > b->area(); });
    bool falling = true;
    for (size_t i = 1; i < order.size(); i++)
        falling &= order[i - 1]->area() >= order[i]->area();
    CHECK(falling);
    for (auto &shape : all)
        shape->scale(2);
    CHECK(order[0]->area() == (SHAPES - 1) * (SHAPES - 1) * 4 + 2 * (SHAPES - 1) * 2);
}

// Exceptions.
struct Failure : Counted {
    explicit Failure(uint32_t code) : code(code) {}
    virtual ~Failure() {}
    virtual uint32_t weight() const { return code; }
    uint32_t code;
};
struct Tag {
    virtual ~Tag() {}
    uint32_t tag = 7;
};
struct Severe : Failure, Tag {
    using Failure::Failure;
    uint32_t weight() const override { return code * 100; }
};

// Throws at the bottom; each level has something to destroy.
__attribute__((noinline)) uint32_t deep(uint32_t levels, uint32_t code)
{
    Counted here;
    if (levels == 0)
        switch (code % 4) {
        case 0: throw Failure(code);
        case 1: throw Severe(code);
        case 2: throw int(code);
        default: return code;
        }
    return deep(levels - 1, code) + 1;
}

__attribute__((noinline)) uint32_t through(uint32_t levels, uint32_t code)
{
    Owner<Square> square(new Square(code));
    try {
        return deep(levels, code);
    } catch (Severe &severe) {
        severe.code++;
        throw; // as what it is, to whoever takes a Tag or a Failure
    }
}

uint32_t outcome(uint32_t levels, uint32_t code)
{
    try {
        return through(levels, code);
    } catch (Tag &tag) {
        return 10000 + tag.tag;
    } catch (const Failure &failure) {
        return 20000 + failure.weight();
    } catch (int number) {
        return 30000 + uint32_t(number);
    }
}

struct Half : Counted {
    Half() : first(1)
    {
        throw Severe(5); // the parts made so far are destroyed
    }
    Square first;
};

uint32_t others()
{
    uint32_t seen = 0;
    try {
        delete new Half;
    } catch (Failure &failure) {
        seen += failure.weight();
    }
    try {
        try {
            throw Failure(3);
        } catch (Failure &) {
            // While one is being handled another comes and goes.
            try {
                throw 40;
            } catch (int number) {
                seen += uint32_t(number);
            }
            throw Severe(6);
        }
    } catch (...) {
        seen += 1;
    }
    return seen;
}

void exceptions()
{
    uint32_t wrong = 0;
    for (uint32_t i = 0; i < THROWS; i++) {
        uint32_t levels = i % 9;
        const uint32_t expected[] = {20000 + i, 10007, 30000 + i, i + levels};
        wrong += outcome(levels, i) != expected[i % 4];
    }
    CHECK(wrong == 0);
    CHECK(others() == 541);
}

// Made before main, by runtime_start.
struct Early {
    Early() : value(Fibonacci<10>::value(3)) {}
    uint32_t value;
} early;

} // namespace

int main()
{
    runtime_start();
    CHECK(early.value == 165);
    shapes();
    exceptions();
    CHECK(alive == 0);
    CHECK(blocks_in_use == 0 && exceptions_in_use == 0);
    return verdict();
}
