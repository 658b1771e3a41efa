// The part of the Itanium C++ ABI that the compiler expects: run-time type information, throwing and
// catching on top of libgcc's unwinder, and the heap. One thread; no virtual bases.
#include "cxx_runtime.h"
#include <unwind.h>

extern "C" {
[[noreturn]] void exit(int code);
void __register_frame_info(const void *begin, void *object);
extern const char __eh_frame_start[];
extern void (*const __init_array_start[])(void);
extern void (*const __init_array_end[])(void);

[[noreturn]] void abort() { exit(97); }
[[noreturn]] void __cxa_pure_virtual() { exit(96); }

size_t strlen(const char *text)
{
    size_t length = 0;
    while (text[length])
        length++;
    return length;
}

// Linked in place of board.c's, which go byte by byte: the unwinder copies much.
void *__wrap_memcpy(void *to, const void *from, size_t length)
{
    typedef word __attribute__((may_alias)) any_word;
    char *t = static_cast<char *>(to);
    const char *f = static_cast<const char *>(from);
    if (((word(t) | word(f)) & (sizeof(word) - 1)) == 0)
        for (; length >= sizeof(word); length -= sizeof(word), t += sizeof(word), f += sizeof(word))
            *reinterpret_cast<any_word *>(t) = *reinterpret_cast<const any_word *>(f);
    while (length--)
        *t++ = *f++;
    return to;
}

void *__wrap_memset(void *to, int value, size_t length)
{
    typedef word __attribute__((may_alias)) any_word;
    char *t = static_cast<char *>(to);
    if ((word(t) & (sizeof(word) - 1)) == 0 && value == 0)
        for (; length >= sizeof(word); length -= sizeof(word), t += sizeof(word))
            *reinterpret_cast<any_word *>(t) = 0;
    while (length--)
        *t++ = char(value);
    return to;
}
}

unsigned blocks_in_use, exceptions_in_use;

void runtime_start()
{
    static word object[8]; // libgcc's record of the tables
    __register_frame_info(__eh_frame_start, object);
    for (auto constructor = __init_array_start; constructor != __init_array_end; constructor++)
        (*constructor)();
}

// The heap: blocks of 16, 32, 64 ... bytes, each size with its list of free ones.
namespace {
struct Block {
    Block *next;
    size_t size_class;
};
alignas(16) char heap[24576];
size_t heap_used;
Block *free_blocks[12];

void *allocate(size_t size)
{
    size_t size_class = 0;
    while ((size_t(16) << size_class) < size)
        size_class++;
    Block *block = free_blocks[size_class];
    if (block) {
        free_blocks[size_class] = block->next;
    } else {
        size_t whole = 16 + (size_t(16) << size_class);
        if (heap_used + whole > sizeof heap)
            exit(95);
        block = reinterpret_cast<Block *>(heap + heap_used);
        heap_used += whole;
        block->size_class = size_class;
    }
    return reinterpret_cast<char *>(block) + 16;
}

void release(void *memory)
{
    Block *block = reinterpret_cast<Block *>(static_cast<char *>(memory) - 16);
    block->next = free_blocks[block->size_class];
    free_blocks[block->size_class] = block;
}
} // namespace

extern "C" {
void *malloc(size_t size) { return allocate(size); }
void free(void *memory)
{
    if (memory)
        release(memory);
}
}

void *operator new(size_t size)
{
    blocks_in_use++;
    return allocate(size);
}

void operator delete(void *memory) noexcept
{
    if (!memory)
        return;
    blocks_in_use--;
    release(memory);
}

void operator delete(void *memory, size_t) noexcept { operator delete(memory); }

// Run-time types. The compiler makes objects of these classes; their layout is the ABI's.
namespace std {
class type_info {
public:
    virtual ~type_info();
    bool operator==(const type_info &other) const { return name_ == other.name_; }

    // Where in the object `at` of this type a `wanted` is; null if nowhere.
    virtual void *find(const type_info &wanted, void *at) const;

protected:
    const char *name_;
};
type_info::~type_info() {}
void *type_info::find(const type_info &wanted, void *at) const
{
    return *this == wanted ? at : nullptr;
}
[[noreturn]] void terminate() { exit(94); }
} // namespace std

namespace __cxxabiv1 {
class __fundamental_type_info : public std::type_info {
public:
    ~__fundamental_type_info() override;
};
__fundamental_type_info::~__fundamental_type_info() {}

class __pbase_type_info : public std::type_info {
public:
    ~__pbase_type_info() override;
    unsigned flags;
    const std::type_info *pointee;
};
__pbase_type_info::~__pbase_type_info() {}

class __pointer_type_info : public __pbase_type_info {
public:
    ~__pointer_type_info() override;
};
__pointer_type_info::~__pointer_type_info() {}

class __class_type_info : public std::type_info {
public:
    ~__class_type_info() override;
};
__class_type_info::~__class_type_info() {}

class __si_class_type_info : public __class_type_info {
public:
    ~__si_class_type_info() override;
    void *find(const type_info &wanted, void *at) const override
    {
        return *this == wanted ? at : base->find(wanted, at);
    }
    const __class_type_info *base;
};
__si_class_type_info::~__si_class_type_info() {}

class __vmi_class_type_info : public __class_type_info {
public:
    ~__vmi_class_type_info() override;
    void *find(const type_info &wanted, void *at) const override
    {
        if (*this == wanted)
            return at;
        for (unsigned i = 0; i < count; i++) {
            auto part = static_cast<char *>(at) + (bases[i].offset_and_flags >> 8);
            if (void *found = bases[i].type->find(wanted, part))
                return found;
        }
        return nullptr;
    }
    unsigned flags, count;
    struct {
        const __class_type_info *type;
        long offset_and_flags;
    } bases[1]; // `count` of them
};
__vmi_class_type_info::~__vmi_class_type_info() {}

extern "C" void *__dynamic_cast(const void *object, const __class_type_info *, const __class_type_info *wanted, ptrdiff_t)
{
    auto table = *static_cast<const word *const *>(object);
    auto whole = static_cast<const char *>(object) + static_cast<ptrdiff_t>(table[-2]);
    return reinterpret_cast<const std::type_info *>(table[-1])->find(*wanted, const_cast<char *>(whole));
}

// An exception: our header, the unwinder's, the thrown object.
struct Thrown {
    const std::type_info *type;
    void (*destructor)(void *);
    Thrown *outer; // caught before this one and not yet done with
    unsigned handlers;
    bool rethrown;
    void *adjusted; // the object as the handler's type sees it
    word handler_switch, landing_pad;
    _Unwind_Exception unwinding;
    void *object() { return this + 1; }
};

static const uint64_t OUR_CLASS = 0x6574726163650000; // not that of any other runtime
static Thrown *caught;

static Thrown *thrown_of(_Unwind_Exception *unwinding)
{
    return reinterpret_cast<Thrown *>(reinterpret_cast<char *>(unwinding) - offsetof(Thrown, unwinding));
}

static void destroy(Thrown *thrown)
{
    exceptions_in_use--;
    if (thrown->destructor)
        thrown->destructor(thrown->object());
    release(thrown);
}

extern "C" {
void *__cxa_allocate_exception(size_t size) noexcept
{
    exceptions_in_use++;
    return static_cast<Thrown *>(allocate(sizeof(Thrown) + size)) + 1;
}

void __cxa_free_exception(void *object) noexcept
{
    exceptions_in_use--;
    release(static_cast<Thrown *>(object) - 1);
}

[[noreturn]] void __cxa_throw(void *object, std::type_info *type, void (*destructor)(void *))
{
    Thrown *thrown = static_cast<Thrown *>(object) - 1;
    *thrown = {};
    thrown->type = type;
    thrown->destructor = destructor;
    thrown->unwinding.exception_class = OUR_CLASS;
    _Unwind_RaiseException(&thrown->unwinding);
    std::terminate(); // nobody catches it
}

void *__cxa_begin_catch(void *unwinding) noexcept
{
    Thrown *thrown = thrown_of(static_cast<_Unwind_Exception *>(unwinding));
    thrown->handlers++;
    thrown->rethrown = false;
    if (caught != thrown) {
        thrown->outer = caught;
        caught = thrown;
    }
    return thrown->adjusted;
}

void __cxa_end_catch()
{
    Thrown *thrown = caught;
    if (--thrown->handlers)
        return;
    caught = thrown->outer;
    if (!thrown->rethrown)
        destroy(thrown);
}

[[noreturn]] void __cxa_rethrow()
{
    if (caught) {
        caught->rethrown = true;
        _Unwind_Resume_or_Rethrow(&caught->unwinding);
    }
    std::terminate();
}
}

// The tables of a function: DWARF exception header encodings.
namespace {
enum { ABSOLUTE = 0, ULEB = 1, DATA2 = 2, DATA4 = 3, DATA8 = 4, SLEB = 9, SIGNED2 = 10, SIGNED4 = 11, SIGNED8 = 12 };
enum { RELATIVE = 0x10, INDIRECT = 0x80, OMITTED = 0xff };

struct Reader {
    const uint8_t *at;

    uint8_t byte() { return *at++; }

    word leb(bool is_signed)
    {
        word value = 0;
        unsigned shift = 0;
        uint8_t b;
        do {
            b = byte();
            value |= word(b & 127) << shift;
            shift += 7;
        } while (b & 128);
        if (is_signed && (b & 64) && shift < 8 * sizeof(word))
            value |= ~word(0) << shift;
        return value;
    }

    uint64_t bytes(unsigned count)
    {
        uint64_t value = 0;
        for (unsigned i = 0; i < count; i++)
            value |= uint64_t(byte()) << 8 * i;
        return value;
    }

    word encoded(uint8_t encoding)
    {
        const word place = reinterpret_cast<word>(at);
        word value = 0;
        switch (encoding & 15) {
        case ABSOLUTE: value = word(bytes(sizeof(word))); break;
        case ULEB: value = leb(false); break;
        case SLEB: value = leb(true); break;
        case DATA2: value = word(bytes(2)); break;
        case DATA4: value = word(bytes(4)); break;
        case DATA8: case SIGNED8: value = word(bytes(8)); break;
        case SIGNED2: value = word(int16_t(bytes(2))); break;
        case SIGNED4: value = word(long(int32_t(bytes(4)))); break;
        default: abort();
        }
        if (value == 0)
            return 0;
        if ((encoding & 0x70) == RELATIVE)
            value += place;
        else if (encoding & 0x70)
            abort();
        return encoding & INDIRECT ? *reinterpret_cast<const word *>(value) : value;
    }
};

unsigned size_of(uint8_t encoding)
{
    switch (encoding & 15) {
    case DATA2: case SIGNED2: return 2;
    case DATA4: case SIGNED4: return 4;
    case DATA8: case SIGNED8: return 8;
    default: return sizeof(word);
    }
}

// What a function does about an exception.
struct Plan {
    word landing_pad = 0; // 0: nothing
    word handler_switch = 0;
    bool catches = false;
};

Plan plan_for(_Unwind_Context *context, Thrown *thrown)
{
    Plan plan;
    Reader table{reinterpret_cast<const uint8_t *>(_Unwind_GetLanguageSpecificData(context))};
    if (!table.at)
        return plan;
    const word start = _Unwind_GetRegionStart(context);
    const word offset = _Unwind_GetIP(context) - 1 - start; // in the call, not behind it
    uint8_t encoding = table.byte();
    const word pads = encoding == OMITTED ? start : table.encoded(encoding);
    const uint8_t type_encoding = table.byte();
    const uint8_t *types = nullptr;
    if (type_encoding != OMITTED) {
        word distance = table.leb(false);
        types = table.at + distance;
    }
    encoding = table.byte();
    const word length = table.leb(false);
    const uint8_t *actions = table.at + length;

    word action = 0;
    while (table.at < actions) {
        word from = table.encoded(encoding), size = table.encoded(encoding);
        word pad = table.encoded(encoding), first_action = table.leb(false);
        if (offset < from)
            break;
        if (offset - from >= size)
            continue;
        if (pad == 0)
            return plan;
        plan.landing_pad = pads + pad;
        action = first_action;
        break;
    }
    if (!plan.landing_pad)
        std::terminate(); // a call that must not throw
    if (action == 0)
        return plan; // cleanup alone
    Reader record{actions + action - 1};
    for (;;) {
        long filter = long(record.leb(true));
        const uint8_t *here = record.at;
        long next = long(record.leb(true));
        if (filter > 0) {
            Reader entry{types - word(filter) * size_of(type_encoding)};
            auto type = reinterpret_cast<const std::type_info *>(entry.encoded(type_encoding));
            void *object = type ? thrown->type->find(*type, thrown->object()) : thrown->object();
            if (object) {
                thrown->adjusted = object;
                plan.handler_switch = word(filter);
                plan.catches = true;
                return plan;
            }
        } else if (filter < 0) {
            abort(); // dynamic exception specifications are not C++17
        }
        if (next == 0)
            return plan;
        record.at = here + next;
    }
}
} // namespace

extern "C" _Unwind_Reason_Code __gxx_personality_v0(
    int version, _Unwind_Action actions, _Unwind_Exception_Class kind, _Unwind_Exception *unwinding,
    _Unwind_Context *context)
{
    if (version != 1 || kind != OUR_CLASS)
        return _URC_FATAL_PHASE1_ERROR;
    Thrown *thrown = thrown_of(unwinding);
    if (actions & _UA_HANDLER_FRAME) {
        // Found in the search; kept, as the second phase must not look again.
        _Unwind_SetGR(context, 10, reinterpret_cast<word>(unwinding));
        _Unwind_SetGR(context, 11, thrown->handler_switch);
        _Unwind_SetIP(context, thrown->landing_pad);
        return _URC_INSTALL_CONTEXT;
    }
    Plan plan = plan_for(context, thrown);
    if (!plan.landing_pad)
        return _URC_CONTINUE_UNWIND;
    if (actions & _UA_SEARCH_PHASE) {
        if (!plan.catches)
            return _URC_CONTINUE_UNWIND;
        thrown->handler_switch = plan.handler_switch;
        thrown->landing_pad = plan.landing_pad;
        return _URC_HANDLER_FOUND;
    }
    _Unwind_SetGR(context, 10, reinterpret_cast<word>(unwinding));
    _Unwind_SetGR(context, 11, 0);
    _Unwind_SetIP(context, plan.landing_pad);
    return _URC_INSTALL_CONTEXT;
}
} // namespace __cxxabiv1
