"""The grammar of the travel-booking corpus: English and Chinese side by side, as data.

A line `English = Chinese` is a rule that makes both languages at once; a long one goes on in a
second line that begins with "=".

    {name}        a phrase or a slot; the Chinese side places the same derivation by its name
    {name?}       the same, left out half of the time, in both languages together
    {Date:week}   a slot whose value comes from that list of values
    {Date!}       a slot without its preposition: "Friday", where {Date} says "on Friday"
    {Date2}       a second slot of the same tag
    (a|b|)        one of these, at random; a difference that the other language does not show

Names in lower case are phrases; names in capitals are slots, and the words of a slot get its
name as their tag. Every sentence lives in the world of rail or of air: `{ride}` finds the rules
of `ride` and of `ride.rail` (or `ride.air`), and a shape that begins with `air:` exists only there.
A shape that ends in "?" is a question, and so is one with a clause that begins with "can" or
"could"; the Chinese sentence gets the same final mark.
"""

# How often each intent occurs, in percent.
INTENTS = {
    "book_trip": 18,
    "change_trip": 11,
    "ask_price": 10,
    "cancel_trip": 9,
    "ask_time": 9,
    "ask_status": 7,
    "refund": 7,
    "book_hotel": 6,
    "ask_baggage": 5,
    "ask_availability": 5,
    "choose_seat": 4,
    "complain": 4,
    "other": 3,
    "ask_route": 2,
}

# Sentence shapes. Every fifth shape of an intent occurs in the test split only.
SHAPES = {
    "book_trip": """
        {want} go to {To} from {From} {Date} = {want}在{Date}从{From}去{To}
        {want} {go} {when?} {back?} = {want}{when}{go}{back}
        {book} {ticket} {route} {when?} {back?} = {book}{when}{route}的{ticket}{back}
        {when} {want} {go} {back?} = {when}{want}{go}{back}
        I'm in {From:place} and have to be in {To} by {ArrivalTime!:clock} {Date}, {book} {ticket}
            = 我在{From}，{Date}{ArrivalTime}之前得到{To}，{book}{ticket}
        {book} {ticket} {when} {route} = {book}{when}{route}的{ticket}
        {book} {ticket} {route} for {Passengers:people} {when?}
            = {book}{when}{route}的{ticket}，{Passengers}
        {book} the cheapest {fare} {route} {when?} = {book}{when}{route}最便宜的{fare}
        {From} to {To}, {when}, {Passengers:people} = {when}，{From}到{To}，{Passengers}
        I have a meeting in {To:place} at {ArrivalTime!:clock} {Date}, {book} {ticket} from {From}
            = 我{Date}{ArrivalTime}在{To}开会，{book}从{From}出发的{ticket}
        {book} a return ticket {route}, leaving {Date} and coming back {ReturnDate}
            = {book}{route}的往返票，{Date}出发，{ReturnDate}回来
        {want} leave {From} {when} and get to {To} by {ArrivalTime!:clock}
            = {want}{when}从{From}出发，{ArrivalTime}之前到{To}
        {book} {ticket} {route} {Date}, nothing over {Price}
            = {book}{Date}{route}的{ticket}，不要超过{Price}
        I don't need to know the price, {book} {ticket} {route} {when}
            = 不用告诉我价格，{book}{when}{route}的{ticket}
        to {To}, leaving from {From}, {when}, {ticket} please
            = 去{To}，从{From}出发，{when}，请给我订{ticket}
        {want} {go} as soon as possible = {want}尽快{go}
        {ticket} {route} {when} please = 请给我订{when}{route}的{ticket}
        {book} a seat on {number} {Date} = {book}{Date}{number}的票
        the outward trip {route} {Date} and the return {ReturnDate}, {book} both
            = {Date}{route}，{ReturnDate}返程，{book}往返票
        my {person} needs to travel from {From} to {To} {Date}, {book} {ticket}
            = 我{person}{Date}要从{From}去{To}，{book}{ticket}
        {want} arrive in {To} {Date}, starting from {From} = {want}从{From}出发，{Date}到{To}
        after {From} {want} continue to {To} {when} = {From}之后{want}{when}接着去{To}
        no hotel this time, only {ticket} {route} {when} = 这次不订酒店，只订{when}{route}的{ticket}
        if there are seats left, {book} {ticket} {route} {when}
            = 如果还有座位，{book}{when}{route}的{ticket}
        don't hold a room for me in {City}, hold {ticket} from {From} {Date}
            = 不用给我留{City}的房间，给我留{Date}从{From}出发的{ticket}
    """,
    "change_trip": """
        {change} {trip} to {NewDate!} = {change}把{trip}改到{NewDate}
        {change} {trip} from {Date!} to {NewDate!} = {change}把{trip}从{Date}改到{NewDate}
        I'd rather travel {NewDate} than {Date} = 比起{Date}，我更想{NewDate}走
        don't cancel {mine}, (move|change|shift) it to {NewDate!} = 不要取消{mine}，改到{NewDate}
        instead of {Date!} I want to leave {NewDate} = 我不想{Date}走了，想{NewDate}出发
        I want to leave {NewDate} instead of {Date!} = 我想{NewDate}出发，不想{Date}走了
        can I take a later {ride} to {To} {Date}? = {Date}去{To}能换晚一点的{ride}吗
        I booked {Date!} by mistake, it should be {NewDate!} = 我不小心订成了{Date}，应该是{NewDate}
        {trip} is for {Date!}, make it {NewDate!} = {trip}是{Date}的，请改成{NewDate}
        keep {trip} but leave {NewDate} rather than {Date}
            = {trip}保留，但是改成{NewDate}走，不在{Date}走
        {change} {trip} to the {NewTime!:clock} {ride} = {change}把{trip}改到{NewTime}的{ride}
        I don't want a refund, just (move|change) {mine} to {NewDate!}
            = 我不要退款，把{mine}改到{NewDate}就行
        can I swap {mine} for one {NewDate}? = {mine}可以换成{NewDate}的吗
        {mine} is too early, put me on {number} = {mine}太早了，帮我换成{number}
        I can't make it {Date}, is it possible to (move|shift) {trip} to {NewDate!}?
            = 我{Date}走不了，可以把{trip}改到{NewDate}吗
        can I leave {hours} later with {trip}? = {trip}可以晚{hours}出发吗
        put me on the {NewTime!:clock} {ride} {Date} instead = 请把我换到{Date}{NewTime}的{ride}
        please rebook {mine}, {NewDate!} works better = 请帮我改签{mine}，{NewDate}更合适
        my meeting in {To:place} moved from {Date!} to {NewDate!}, so my {stub} has to move too
            = 我在{To}的会议从{Date}改到了{NewDate}，我的{stub}也要跟着改
        no need to cancel {trip}, but {NewDate!} suits me better than {Date!}
            = 不用取消{trip}，不过比起{Date}，{NewDate}对我更方便
        {change} the return to {NewDate!}, the way out {Date} stays
            = {change}把返程改到{NewDate}，去程还是{Date}
        what do I have to do to (move|change) {trip} from {Date!} to {NewDate!}?
            = 要把{trip}从{Date}改到{NewDate}，我该怎么办
        {NewDate!} not {Date!} please, that's for {trip} = {trip}请改成{NewDate}，不要{Date}
    """,
    "cancel_trip": """
        {cancel} {mine} = {cancel}取消{mine}
        I won't be travelling {Date} any more, {cancel} {trip} = 我{Date}不走了，{cancel}取消{trip}
        don't move {mine}, {cancel} it = 不要改{mine}，{cancel}取消
        I'm not travelling to {To} after all, {cancel} my {stub}
            = 我不去{To}了，{cancel}取消我的{stub}
        {mine} is no longer needed, please take it off = {mine}不需要了，请取消吧
        I've changed my mind, {cancel} {mine} = 我改主意了，{cancel}取消{mine}
        {cancel} only the way back {ReturnDate}, I'm still going {Date}
            = {cancel}取消{ReturnDate}的返程，不过{Date}我还是要去
        {cancel} {mine}, I don't need the money back = {cancel}取消{mine}，钱不用退了
        can I still cancel {mine}? = {mine}还能取消吗
        moving {trip} to {NewDate!} doesn't help, so {cancel} it
            = 把{trip}改到{NewDate}也没用，{cancel}取消
        my plans for {Date!} fell through, {cancel} {trip}
            = 我{Date}的计划泡汤了，{cancel}取消{trip}
        I booked {trip} twice, {cancel} one of them = {trip}我订了两次，{cancel}取消其中一张
        I don't want another date for {mine}, I don't want it at all
            = {mine}我不想改期，我根本不要了
        {cancel} {trip} and don't book a new one = {cancel}取消{trip}，不用订新的
        leave the hotel as it is but {cancel} {mine} = 酒店不动，{cancel}取消{mine}
        my {person} can't come, so {cancel} {mine} = 我{person}来不了，{cancel}取消{mine}
        {want} cancel {mine} = {want}取消{mine}
        there is no point in travelling to {To} {Date} now, {cancel} my {stub}
            = {Date}去{To}已经没有意义了，{cancel}取消我的{stub}
        my {person} is ill so we're staying in {From:place}, {cancel} my {stub}
            = 我{person}病了，我们留在{From}，{cancel}取消我的{stub}
        forget about my {stub}, we're not leaving {From} {Date}
            = 我的{stub}不要了，我们{Date}不离开{From}
    """,
    "ask_price": """
        how much for {ticket} {route} {Date?}? = {Date}{route}的{ticket}多少钱
        what does it cost to {go} {Date?}? = {Date}{go}要多少钱
        what's the price of {ticket} {route}? = {route}的{ticket}是什么价
        is it cheaper to {go} {Date} or {Date2}? = {go}，{Date}便宜还是{Date2}便宜
        how much more is {Class} than {Class2} on {run}? = {run}，{Class}比{Class2}贵多少
        don't book anything yet, I just want to know what I'd pay for {ticket} {route}
            = 先别订，我只想知道{route}的{ticket}多少钱
        is {Price} enough for {ticket} {route}? = {Price}够买{route}的{ticket}吗
        what do I have to pay to change {mine}? = 改签{mine}要付多少钱
        how much is the fee to cancel {mine}? = 取消{mine}的手续费是多少
        can I {go} for less than {Price}? = {go}，{Price}以内能买到票吗
        before I book, tell me the price of {ticket} {route} {Date?}
            = 订之前先告诉我{Date}{route}的{ticket}多少钱
        what's the cheapest way to {go}? = {go}怎么走最便宜
        what's the price for {Passengers:people} {route} {Date} please?
            = 请问{Passengers}{Date}{route}多少钱
        how much do you charge for {Class} on {run}? = {run}的{Class}收多少钱
        do children pay full price on {run}? = 小孩坐{run}要买全价票吗
        {want} know the price of {ticket} {route} {Date?} = {want}知道{Date}{route}的{ticket}多少钱
        I know when it leaves, but how much for {ticket} {route}?
            = 出发时间我知道，{route}的{ticket}多少钱
        are tickets {route} more expensive {Date} than {Date2}? = {route}的票，{Date}比{Date2}贵吗
        how much would {ticket} {route} {Date} set me back? = 买{Date}{route}的{ticket}得花多少钱
        you said {Price} for {ticket} {route}, does that include everything?
            = 你们说{route}的{ticket}是{Price}，都包含在内吗
    """,
    "ask_time": """
        what time does {service} leave {Date?}? = {Date}{service}几点{leave}
        when does {service} arrive? = {service}什么时候到
        how long does it take to {go}? = {go}要多长时间
        when is the {edge} {ride} from {From} to {To} {Date?}?
            = {Date}从{From}到{To}{edge}的{ride}是几点
        if I leave {From} {Time}, when do I get to {To}? = 如果{Time}从{From}出发，什么时候能到{To}
        do you know when {service} gets in? = 你知道{service}几点到吗
        does {service} leave before or after {Time!:clock}? = {service}是{Time}之前还是之后{leave}
        I don't need a ticket, I only want to know when {service} leaves
            = 我不买票，只想知道{service}几点{leave}
        is {number} at {Time!:clock} or {Time2!:clock}?
            = {number}是{Time}的还是{Time2}的
        how early do I have to be at the {station} for {service}? = 坐{service}要提前多久到{station}
        departure times from {From} to {To} {Date} please = 请告诉我{Date}从{From}到{To}的出发时间
        {want} know what time {number} gets to {To} = {want}知道{number}几点到{To}
        will I be in {To} by {ArrivalTime!:clock} if I take {number}?
            = 坐{number}，{ArrivalTime}之前能到{To}吗
        tell me when to leave {From} to reach {To} by {ArrivalTime!:clock} {Date}
            = {Date}{ArrivalTime}之前要到{To}，告诉我几点从{From}出发
        when exactly {Date} does {number} reach {To}? = {number}{Date}到底几点到{To}
        how many hours is it from {From} to {To} by {vehicle}? = 坐{vehicle}从{From}到{To}要几个小时
        the price is clear, but when does {service} leave? = 价格清楚了，不过{service}几点{leave}
        what time {Date} do I arrive in {To} with {number}? = 坐{number}，{Date}几点到{To}
        which {ride} to {To} leaves first {Date}? = {Date}去{To}的{ride}哪一班先{leave}
        at what hour do I have to leave {From} {Date} to catch {number}?
            = 要赶上{number}，我{Date}得几点从{From}出发
    """,
    "ask_status": """
        is {run} on time {Date?}? = {Date}{run}准点吗
        has {run} left yet? = {run}{leave}了吗
        is {run} delayed? = {run}晚点了吗
        how late is {run} going to be? = {run}会晚点多久
        was {number} cancelled or is it just late? = {number}是取消了还是只是晚点
        which {gate} does {run} leave from? = {run}在哪个{gate}
        did my booking for {run} go through? = 我订的{run}订上了吗
        where is {number} now? = {number}现在到哪儿了
        I heard {run} has been cancelled, is that true? = 听说{run}取消了，是真的吗
        has {run} been moved to {NewTime!:clock}? = {run}是改到{NewTime}了吗
        has {mine} been confirmed? = {mine}确认了吗
        I'm already at the {station}, is there any news about {run}?
            = 我已经到{station}了，{run}有消息吗
        my {person} is on {number}, has it arrived in {To}? = 我{person}坐的{number}到{To}了吗
        I know the timetable, but is {run} really running {Date}?
            = 时刻表我知道，但是{Date}{run}真的会开吗
        is there still a delay on the {vehicle} route from {From} to {To}?
            = 从{From}到{To}的{vehicle}还在晚点吗
        could you check whether {run} is on time? = 能不能查一下{run}是不是准点
        what's the status of {mine}? = {mine}现在是什么状态
        will {run} still go {Date} with all this snow? = 雪这么大，{Date}{run}还会开吗
        I don't want to change {trip}, just tell me if {number} is on time
            = 我不想改{trip}，告诉我{number}是不是准点就行
        it's past {Time!:clock} and {number} isn't on the board, what's going on?
            = 已经过了{Time}，屏幕上还没有{number}，怎么回事
    """,
    "refund": """
        I want my money back for {mine} = 我要求退还{mine}的钱
        {mine} was cancelled, when do I get my money? = {mine}被取消了，什么时候退钱给我
        how much do I get back if I cancel {mine}? = 如果取消{mine}，能退多少钱
        I cancelled {trip} {Date:past} and still have no refund
            = 我{Date}取消了{trip}，到现在还没收到退款
        don't put me on another {ride}, give me a refund = 不用给我换别的{ride}，把钱退给我
        you charged me twice for {mine}, send the extra money back
            = {mine}你们扣了两次钱，请把多扣的退给我
        {want} get a refund for {mine} = {want}办理{mine}的退款
        I paid {Price} for {run} and it never left, refund me
            = 我花{Price}买的{run}根本没{leave}，请退款
        can I get my money back for {mine}? = {mine}可以退钱吗
        the refund for {mine} should be {Price}, not less = {mine}的退款应该是{Price}，不能少
        no voucher please, pay me back the {Price} for {trip}
            = 我不要代金券，把{trip}的{Price}退给我
        how long does the refund for {mine} take? = {mine}的退款要多长时间
        {mine} is already cancelled, all I need now is the money = {mine}已经取消了，现在只差退款了
        where is my refund for {mine}? = {mine}的退款在哪儿
        I was moved from {Class} to {Class2} on {run}, pay me the difference
            = 我坐{run}从{Class}换到了{Class2}，请退差价
        please pay back the {Price} for {trip} = 请把{trip}的{Price}退给我
        is {mine} refundable? = {mine}可以退款吗
        I don't want to complain about {run}, I only want my money
            = 我不想投诉{run}，我只想要回我的钱
        {run} was {hours} late {Date:past}, so I want the price of my ticket back
            = {Date}{run}晚点了{hours}，所以我要求退票款
        who do I ask about getting the {Price} back for {mine}? = {mine}的{Price}要找谁退
    """,
    "book_hotel": """
        {book} a hotel in {City} {Date} for {Nights} = {book}{City}的酒店，{Date}入住，住{Nights}
        {book} a {Room} in {City} {Date?} = {book}{Date}{City}酒店的{Room}
        {want} stay in {City} for {Nights} = {want}在{City}住{Nights}
        can I have a {Room} in {City} {Date}? = 可以给我订{Date}{City}的{Room}吗
        I have my {stub} to {To}, now {book} a room {Date}
            = 去{To}的{stub}我有了，现在{book}{Date}的房间
        {book} a hotel near the {station} in {City}, not more than {Price} a night
            = {book}{City}{station}附近的酒店，一晚不超过{Price}
        we arrive in {To} {Date} and need a place to sleep = 我们{Date}到{To}，需要找个住的地方
        I'd pay up to {Price} for a {Room} in {City}, {Nights}, please book it
            = {City}的{Room}，住{Nights}，{Price}以内，请帮我订
        {Nights} in {City} from {Date!}, a {Room} please = {City}住{Nights}，{Date}入住，请订{Room}
        I don't need a {ride} to {To}, I need a hotel there {Date}
            = 我不订去{To}的{ride}，我要订{Date}在那儿住的酒店
        find me somewhere to stay in {City} {Date} = 帮我找{Date}在{City}住的地方
        my {ride} to {To} arrives late, so {book} a room at the {station}
            = 我去{To}的{ride}到得晚，{book}{station}附近的房间
        a {Room} for {Passengers:people} in {City} {Date} = {Date}{City}，{Passengers}，一间{Room}
        {book} a room in {City} for {Price} or less {Date} = {book}{Date}{City}{Price}以下的房间
        {want} spend {Nights} in a hotel in {City} starting {Date}
            = {want}{Date}起在{City}的酒店住{Nights}
        put us in a hotel in {City} {Date}, a {Room} under {Price}
            = 帮我们安排{Date}{City}的酒店，{Price}以内的{Room}
        {book} a {Room} with breakfast in {City} {Date} = {book}{Date}{City}含早餐的{Room}
        I'm not leaving {City} before {Date!}, so {book} a hotel there
            = 我{Date}之前不离开{City}，{book}那儿的酒店
    """,
    "ask_baggage": """
        how many bags can I take on {run}? = 坐{run}可以带几件行李
        can I bring {Baggage} on {run}? = 坐{run}可以带{Baggage}吗
        is {Weight} too heavy for {run}? = 坐{run}，行李{Weight}会不会超重
        what does an extra bag cost on {run}? = 坐{run}多带一件行李要多少钱
        my suitcase is {Weight}, do I have to pay for it on {number}?
            = 我的箱子{Weight}，坐{number}要付费吗
        do I have to check in {Baggage}? = {Baggage}需要托运吗
        I left my bag on {run}, where can I ask for it? = 我的包落在{run}上了，应该去哪儿问
        I want to travel with {Baggage} {Date}, is that allowed? = 我{Date}想带{Baggage}出行，可以吗
        what's the luggage allowance in {Class} on {run}? = {run}{Class}的行李限额是多少
        {Weight} and {Baggage}, can I take both to {To}?
            = {Weight}的行李加上{Baggage}，可以都带去{To}吗
        can I change my bag allowance on {run} to {Weight}?
            = 能把我在{run}上的行李额改成{Weight}吗
        how big can a suitcase be on {run}? = 坐{run}箱子最大可以多大
        where do I pick up my luggage in {To}? = 到了{To}在哪儿取行李
        the ticket is booked, but can I take {Baggage} along? = 票订好了，但是可以带{Baggage}吗
        does the price of {mine} include {Weight} of luggage? = {mine}的价格包含{Weight}行李吗
        when is the latest I can hand in my bags for {run}? = 坐{run}最晚什么时候托运行李
        my suitcase didn't arrive in {To} with {number}, where is it now?
            = 我的箱子没有跟{number}一起到{To}，现在在哪儿
        {want} take {Baggage} to {To} {Date}, do I need anything special?
            = {want}{Date}带{Baggage}去{To}，需要办什么手续吗
    """,
    "ask_availability": """
        are there any seats left {route} {Date}? = {Date}{route}还有座位吗
        is there a {ride} from {From} to {To} {when}? = {when}有从{From}到{To}的{ride}吗
        do you still have tickets for {run}? = {run}还有票吗
        what {vehicle} connections do you have {route} {Date}? = {Date}{route}有哪些{vehicle}
        is {run} sold out {Date?}? = {Date}{run}的票卖完了吗
        is {Class} still available on {run}? = {run}还有{Class}吗
        how many seats are left on {number} {Date?}? = {Date}{number}还剩几个座位
        which {ride} goes {route} {when}? = {when}{route}有哪趟{ride}
        I don't want to book yet, are there seats left {route} {Date}?
            = 我先不订，{Date}{route}还有座位吗
        can {Passengers:people} still get on {run} {Date}?
            = {Date}{run}还坐得下{Passengers}吗
        show me what leaves {From} for {To} {when} = 给我看看{when}从{From}去{To}有哪些班次
        does anything go {route} after {Time!:clock}? = {Time}以后{route}还有班次吗
        are there still seats under {Price} {route} {Date}? = {Date}{route}还有{Price}以内的票吗
        tell me if {number} has free seats {Date} = 告诉我{number}{Date}有没有空座
        {Date!} or {Date2!}, when are there still seats {route}?
            = {route}，{Date}和{Date2}哪天还有座位
        do any {vehicle} tickets {route} remain for {Date!}? = {Date}{route}的{vehicle}票还有剩的吗
        if I want to go from {From} to {To} {Date}, what is there?
            = 如果我{Date}想从{From}去{To}，有什么票
    """,
    "choose_seat": """
        {want} {seat} on {run} = {want}要{run}上{seat}
        can I have {seat} on {run}? = 我在{run}上可以坐{seat}吗
        please give me {seat} for {mine} = {mine}请给我{seat}
        change my seat on {run} to {seat} = 把我在{run}上的座位换成{seat}
        I don't want {seat2}, I want {seat} = 我不要{seat2}，要{seat}
        I want {seat}, not {seat2} = 我要{seat}，不要{seat2}
        we are {Passengers:people}, can we sit together on {run}?
            = 我们{Passengers}，在{run}上可以坐一起吗
        don't change {trip}, only move me to {seat} = 不要改{trip}，只把我换到{seat}
        is {seat} still free on {run}? = {run}上{seat}还空着吗
        {trip} is booked, now put me in {seat} = {trip}订好了，现在帮我安排{seat}
        where can I pick my seat on {run}? = 在哪儿可以选{run}的座位
        swap {seat2} for {seat} on {mine} = 把{mine}的{seat2}换成{seat}
        I get sick on the {vehicle}, so {seat} would be best = 我坐{vehicle}会晕，最好是{seat}
        if possible {seat} to {To} {Date} = 可以的话，{Date}去{To}请安排{seat}
        rather {seat} than {seat2} on {number} please = {number}请给我{seat}，不要{seat2}
    """,
    "complain": """
        {run} was {hours} late {Date:past} and nobody told us anything
            = {Date}{run}晚点{hours}，没有一个人通知我们
        I've been waiting {hours} for an answer about {mine}, this is a joke
            = 为了{mine}我等了{hours}都没人答复，太不像话了
        the (staff|crew) on {run} were really rude = {run}上的工作人员态度太差了
        you lost my bag on {run}, I'm very angry = 你们在{run}上弄丢了我的包，我非常生气
        I want to complain about {run} = 我要投诉{run}
        the toilets on {run} were filthy = {run}上的厕所脏死了
        rail: I paid for {seat} and had to stand all the way to {To}
            = 我买的是{seat}，结果一路站到{To}
        this is the worst trip from {From} to {To} I've ever had
            = 这是我从{From}到{To}最糟糕的一次旅行
        you cancelled {mine} without asking me, that's not acceptable
            = 你们没问过我就取消了{mine}，我不能接受
        your app changed {trip} to {NewDate!} by itself, I'm fed up!
            = 你们的系统自己把{trip}改到了{NewDate}，我受够了
        {hours} in the queue at the {station} in {From:place}, what kind of service is that?
            = 在{From}{station}排了{hours}的队，这算什么服务
        I don't want a refund for {run}, I want someone to apologise
            = {run}我不要退款，我要有人道歉
        nobody at the {station} in {From:place} could tell us when {number} leaves, unbelievable!
            = {From}{station}没人说得清{number}几点{leave}，真不敢相信
        {Price} for such a dirty seat on {run} is a rip-off
            = {run}的座位这么脏还收{Price}，简直是抢钱
        the air conditioning on {run} was broken and no one cared
            = {run}上的空调坏了，也没人管
    """,
    "other": """
        what's the weather like in {City} {Date}? = {City}{Date}天气怎么样
        is there anything worth seeing in {City}? = {City}有什么值得看的吗
        are you a real person? I have a question about {trip} = 你是真人吗？我想问问{trip}的事
        can I talk to a human about {trip}? = {trip}的事能让我跟人工客服说吗
        can you book me a table for {Passengers:people} in {City} {Date}?
            = 能不能帮我在{City}订{Date}{Passengers}的餐位
        thanks a lot, my trip to {City} was (great|wonderful) = 非常感谢，我的{City}之行很愉快
        how much is a taxi from the {station} to the centre of {City}?
            = {City}从{station}打车到市中心多少钱
        never mind, I already sorted out {trip} by myself = 没事了，{trip}我自己搞定了
        do you like {City} better than {City2}? = 比起{City2}，你更喜欢{City}吗
        what time do the museums in {City} close {Date}? = {City}的博物馆{Date}几点关门
        do I need a coat in {City} {Date}? = {Date}在{City}要穿外套吗
        I'm only having a look, no {fare} for me today = 我就随便看看，今天不买{fare}
        that's all for {trip}, thank you = {trip}就这些，谢谢
        which is bigger, {City} or {City2}? = {City}和{City2}哪个大
        where can I get good noodles in {City}? = 在{City}哪儿能吃到好吃的面
        what language do people speak in {City}? = {City}的人说什么话
        I lost my phone in {City}, can you call it? = 我的手机在{City}丢了，你能打一下吗
    """,
    "ask_route": """
        how do I get from {From} to {To}? = 从{From}到{To}怎么走
        do I have to change in {Via} on the way from {From} to {To}? = 从{From}到{To}要在{Via}中转吗
        is there a direct {ride} from {From} to {To}? = 从{From}到{To}有直达的{ride}吗
        where do I change if I go from {From} to {To}? = 从{From}去{To}要在哪儿换乘
        is it better to go through {Via} or {Via2} to get to {To} from {From}?
            = 从{From}去{To}，经{Via}好还是经{Via2}好
        rail: does {run} stop in {Via}? = {run}在{Via}停吗
        rail: which way does {run} go, through {Via} or {Via2}?
            = {run}走哪条线，经{Via}还是经{Via2}
        can I get to {To} from {From} without going through {Via}? = 从{From}去{To}可以不经过{Via}吗
        what's the best way to reach {To} from {From}? = 从{From}去{To}怎么走最好
        from {Via} how do I go on to {To} if I come from {From}?
            = 我从{From}来，到了{Via}怎么接着去{To}
        I'm at the {station} in {From:place}, how do I get to {To} from here?
            = 我在{From}{station}，从这儿怎么去{To}
        which {station} in {From:place} do I leave from to go to {To}?
            = 从{From}去{To}应该到哪个{station}坐
    """,
}
