"""The phrases that the shapes of grammar.py are made of, and what people say around a request."""

PHRASES = {
    "hello": """
        hi = 你好
        hello = 你好
        hey = 嗨
    """,
    "want": """
        I want to = 我想
        I'd like to = 我想
        I wish to = 我想
        I need to = 我要
        I have to = 我得
        I'm going to = 我要
        I'm planning to = 我打算
        I was hoping to = 我希望
        we want to = 我们想
        we'd like to = 我们想
        we need to = 我们要
        my {person} and I want to = 我和{person}想
    """,
    "book": """
        book me = 帮我订
        please book = 请帮我订
        please get me = 请帮我订
        (could|can) you book me = 能不能帮我订
        could you please reserve = 能不能帮我预订
        can you get us = 能不能帮我们订
        I want to book = 我想订
        I'd like to book = 我想订
        I'd like to reserve = 我想预订
        I need to book = 我要订
        we'd like to book = 我们想订
        I need = 我要订
        I'd like = 我想订
    """,
    "change": """
        please change = 请
        change = 请
        please move = 请
        can you move = 能不能
        could you change = 能不能
        I want to change = 我想
        I need to move = 我要
        I'd like to switch = 我想
        I have to change = 我得
    """,
    "cancel": """
        cancel = 请
        please cancel = 请
        could you cancel = 能不能
        I want to cancel = 我想
        I need to cancel = 我要
        I'd like to cancel = 我想
        I have to cancel = 我得
    """,
    "go": """
        go to {To} from {From} = 从{From}去{To}
        go from {From} to {To} = 从{From}去{To}
        travel from {From} to {To} = 从{From}去{To}
        travel to {To} from {From} = 从{From}去{To}
        get from {From} to {To} = 从{From}到{To}
        get to {To} from {From} = 从{From}到{To}
        go from {From} to {To} via {Via} = 从{From}经{Via}去{To}
        go to {To} via {Via} from {From} = 从{From}经{Via}去{To}
    """,
    "go.rail": """
        take the train from {From} to {To} = 从{From}坐火车去{To}
        go by train to {To} from {From} = 从{From}坐火车去{To}
        take the high-speed train to {To} from {From} = 从{From}坐高铁去{To}
    """,
    "go.air": """
        fly from {From} to {To} = 从{From}飞{To}
        fly to {To} from {From} = 从{From}飞{To}
        fly from {From} to {To} with {Airline} = 坐{Airline}从{From}飞{To}
    """,
    "route": """
        from {From} to {To} = 从{From}到{To}
        from {From} to {To} = 从{From}到{To}
        to {To} from {From} = 从{From}到{To}
        {From} to {To} = {From}到{To}
        from {From} to {To} via {Via} = 从{From}经{Via}到{To}
        to {To} via {Via} from {From} = 从{From}经{Via}到{To}
        via {Via} from {From} to {To} = 从{From}经{Via}到{To}
        out of {From} to {To} = 从{From}到{To}
    """,
    "when": """
        {Date} = {Date}
        {Date} = {Date}
        {Date} {Time} = {Date}{Time}
        {Time} {Date} = {Date}{Time}
        {Date:weekday} {Time!:part} = {Date}{Time}
        {Date} before {Time!:clock} = {Date}{Time}之前
        {Date} after {Time!:clock} = {Date}{Time}以后
        {Date} around {Time!:clock} = {Date}{Time}左右
    """,
    "back": """
        and come back {ReturnDate} = ，{ReturnDate}回来
        and back {ReturnDate} = ，{ReturnDate}回来
        , returning {ReturnDate} = ，{ReturnDate}返回
        and return {ReturnDate} {ReturnTime} = ，{ReturnDate}{ReturnTime}返回
    """,
    "fare": """
        ticket = 票
    """,
    "fare.rail": """
        train ticket = 火车票
        {Class} train ticket = {Class}火车票
    """,
    "fare.air": """
        plane ticket = 机票
        flight = 机票
        {Class} flight = {Class}机票
    """,
    "ticket": """
        a {fare} = {fare}
        a {fare} = {fare}
        a {fare} = {fare}
        one {fare} = 一张{fare}
    """,
    "ticket.rail": """
        {Passengers:count} train tickets = {Passengers}火车票
        {Passengers:count} {Class} train tickets = {Passengers}{Class}火车票
        a seat on the high-speed train = 高铁票
    """,
    "ticket.air": """
        {Passengers:count} plane tickets = {Passengers}机票
        {Passengers:count} {Class} plane tickets = {Passengers}{Class}机票
        a flight with {Airline} = {Airline}的机票
        a {Airline} flight = {Airline}的机票
    """,
    "stub": """
        ticket = 票
    """,
    "stub.rail": """
        train = 火车票
        train ticket = 火车票
    """,
    "stub.air": """
        flight = 机票
        plane ticket = 机票
    """,
    "trip": """
        my {stub} = 我的{stub}
        my {stub} to {To} = 我去{To}的{stub}
        my {To} {stub} = 我去{To}的{stub}
        my {stub} from {From} to {To} = 我从{From}到{To}的{stub}
        my {stub} to {To} from {From} = 我从{From}到{To}的{stub}
        my trip to {To} = 我去{To}的行程
        booking {Order} = 订单{Order}
    """,
    "mine": """
        {trip} = {trip}
        my {stub} {Date} = 我{Date}的{stub}
        my {stub} to {To} {Date} = 我{Date}去{To}的{stub}
        my {Date!:weekday} {stub} = 我{Date}的{stub}
        my {Date!:weekday} {stub} to {To} = 我{Date}去{To}的{stub}
        my {Time!:clock} {stub} to {To} = 我{Time}去{To}的{stub}
    """,
    "service": """
        {number} = {number}
        {number} = {number}
        {number} to {To} = 去{To}的{number}
        the {ride} to {To} = 去{To}的{ride}
        the {ride} from {From} to {To} = 从{From}到{To}的{ride}
        the {To} {ride} = 去{To}的{ride}
        the {ride} from {From} = 从{From}出发的{ride}
        my {ride} to {To} = 我去{To}的{ride}
    """,
    "service.air": """
        the {Airline} flight to {To} = {Airline}去{To}的航班
        the {Airline} flight from {From} to {To} = {Airline}从{From}到{To}的航班
    """,
    "run": """
        {service} = {service}
        {service} = {service}
        {service} = {service}
        the {Time!:clock} {ride} to {To} = {Time}去{To}的{ride}
        the {Time!:clock} {ride} from {From} = {Time}从{From}出发的{ride}
    """,
    "number.rail": """
        train {TrainNumber} = {TrainNumber}次列车
        {TrainNumber} = {TrainNumber}次列车
    """,
    "number.air": """
        flight {FlightNumber} = {FlightNumber}航班
        {FlightNumber} = {FlightNumber}航班
    """,
    "ride.rail": """
        train = 火车
        train = 火车
        high-speed train = 高铁
    """,
    "ride.air": """
        flight = 航班
    """,
    "vehicle.rail": """
        train = 火车
    """,
    "vehicle.air": """
        plane = 飞机
    """,
    "leave.rail": """
        = 发车
    """,
    "leave.air": """
        = 起飞
    """,
    "station.rail": """
        station = 火车站
    """,
    "station.air": """
        airport = 机场
    """,
    "gate.rail": """
        platform = 站台
    """,
    "gate.air": """
        gate = 登机口
    """,
    "seat": """
        a {Seat} seat = {Seat}的座位
        the {Seat} seat = {Seat}的座位
    """,
    "seat.rail": """
        {Seat:berth} = {Seat}
    """,
    "edge": """
        first = 最早
        last = 最晚
        next = 下一班
    """,
    "hours": """
        an hour = 一个小时
        two hours = 两个小时
        three hours = 三个小时
        half a day = 半天
        forty minutes = 四十分钟
    """,
    "person": """
        mother = 妈妈
        father = 爸爸
        wife = 太太
        husband = 先生
        boss = 老板
        daughter = 女儿
        son = 儿子
        colleague = 同事
        sister = 姐姐
    """,
}

# Things to ask for in few words: as an order to the other side, as a wish of one's own, or as both.
ACTS = {
    "cancel_trip": """
        cancel {trip} = 取消{trip}
        cancel my booking = 取消我的预订
        cancel everything = 全部取消
    """,
    "change_trip": """
        change {trip} = 更改{trip}
        change my booking = 更改我的预订
        move {trip} to {NewDate!} = 把{trip}改到{NewDate}
    """,
    "book_trip": """
        book {ticket} = 订{ticket}
        book {ticket} to {To} = 订去{To}的{ticket}
        book a seat on {number} = 订{number}的票
    """,
    "book_hotel": """
        book a hotel = 订酒店
        book a hotel in {City} = 订{City}的酒店
        reserve a {Room} = 预订{Room}
    """,
    "choose_seat": """
        change my seat = 换座位
        change my seat on {service} = 换{service}上的座位
    """,
}
ORDERS = {
    "refund": """
        refund {trip} = 退{trip}的钱
        pay me back = 把钱退给我
        pay me back for {trip} = 把{trip}的钱退给我
    """,
    "choose_seat": """
        give me {seat} = 给我{seat}
        put me in {seat} = 给我安排{seat}
    """,
}
WISHES = {
    "refund": """
        get a refund = 退款
        get my money back for {trip} = 要回{trip}的钱
    """,
    "ask_price": """
        ask about the price = 问价格
        ask what I'd pay for {ticket} = 问{ticket}多少钱
    """,
    "ask_time": """
        ask about the departure time = 问出发时间
        ask when {service} leaves = 问{service}几点{leave}
    """,
    "ask_status": """
        ask if {service} is late = 问{service}有没有晚点
        check if {service} is on time = 查{service}是不是准点
    """,
    "ask_baggage": """
        ask about my luggage on {service} = 问{service}上行李的事
        ask about the luggage allowance = 问行李限额
    """,
    "complain": """
        complain = 投诉
        complain about {service} = 投诉{service}
    """,
}

# Shapes that name two acts of different intents and mean only {wanted}.
ORDER_CONTRASTS = """
    please don't {unwanted}, {wanted} = 请不要{unwanted}，请{wanted}
    {wanted}, don't {unwanted} = 请{wanted}，不要{unwanted}
    did I say {unwanted}? no, {wanted} = 我说过{unwanted}吗？不，请{wanted}
    don't {unwanted} yet, {wanted} first = 先别{unwanted}，先{wanted}
    {wanted}, but please do not {unwanted} = 请{wanted}，但是千万不要{unwanted}
    can you {wanted} and not {unwanted}? = 能不能{wanted}，而不是{unwanted}
"""
WISH_CONTRASTS = """
    I don't want to {unwanted}, I want to {wanted} = 我不想{unwanted}，我想{wanted}
    I want to {wanted}, I don't want to {unwanted} = 我想{wanted}，我不想{unwanted}
    I want to {wanted}, not {unwanted} = 我想{wanted}，不是{unwanted}
    I'd rather {wanted} than {unwanted} = 比起{unwanted}，我更想{wanted}
    I'm here to {wanted} and not to {unwanted} = 我是来{wanted}的，不是来{unwanted}的
    I wanted to {unwanted} but now I'd like to {wanted} = 我本来想{unwanted}，但现在想{wanted}
    I'm not here to {unwanted}, I'm here to {wanted} = 我不是来{unwanted}的，我是来{wanted}的
    first I wanted to {unwanted}, now I want to {wanted} = 我一开始想{unwanted}，现在想{wanted}
"""

# A sentence before the request that borrows the words of another intent; the key is the intent that
# it must not come before.
SITUATIONS = {
    "": """
        my meeting was cancelled = 我的会议取消了
        the meeting was moved = 会议改期了
        my boss changed the plan again = 老板又改了计划
        my last trip was delayed for hours = 上次我的行程晚点了好几个小时
        I hope the seats are better than last time = 希望座位比上次好
        I'm not complaining = 我不是要投诉
    """,
    "refund": """
        I got my last refund, thanks = 上次的退款收到了，谢谢
        my colleague has his money back = 我同事的钱已经退了
    """,
    "book_hotel": """
        I've already booked the hotel = 酒店我已经订好了
        the hotel can stay as it is = 酒店不用动
    """,
    "ask_baggage": """
        I only have one small bag = 我只有一个小包
        my suitcase is already packed = 我的箱子已经收拾好了
    """,
    "ask_price": """
        the price doesn't matter = 价格无所谓
        I asked about the price yesterday = 昨天我问过价格
    """,
    "ask_time": """
        I've seen the timetable = 时刻表我看过了
    """,
}
OPENERS = """
    {hello}, = {hello}
    excuse me, = 不好意思
    sorry to bother you, = 不好意思打扰一下
    good morning, = 早上好
    good evening, = 晚上好
"""
CLOSERS = """
    thanks = 谢谢
    thank you = 谢谢
    thanks a lot = 多谢
    I'm in a hurry = 我赶时间
    it's urgent = 比较急
    please hurry = 请快一点
"""
